import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatLsn, parseLsn, type Lsn } from "./lsn.ts";
import { majorsUnderTest } from "./testing/majors-under-test.ts";
import { testServer, type TestServer } from "./testing/test-server.ts";
import { timelineId } from "./timeline.ts";
import { walSegmentName } from "./wal-file-name.ts";
import type { RestorePointRecord, TransactionRecord, WalEvent } from "./wal-record.ts";
import { walkWalSegment, type WalContinuation, type WalSegmentEnd } from "./wal-records.ts";

const mib = 1024 * 1024;

interface WholeWalk {
  readonly events: WalEvent[];
  /** Of the last segment that holds a record. */
  readonly last: WalSegmentEnd;
  readonly states: WalSegmentEnd["state"][];
}

/** Walks the segments of timeline 1 from the last one back, as a reader that looks for the newest record does. */
async function walkBackwards(pg: TestServer, first: Lsn, end: Lsn): Promise<WholeWalk> {
  const events: WalEvent[] = [];
  const states: WalSegmentEnd["state"][] = [];
  let last: WalSegmentEnd | undefined;
  let next: WalContinuation | undefined;
  for (let segmentNumber = end / BigInt(mib); segmentNumber >= first / BigInt(mib); segmentNumber--) {
    const name = walSegmentName({ timeline: timelineId(1), segmentNumber, segmentSizeBytes: mib });
    const bytes = await readFile(join(pg.dataDirectory, "pg_wal", name));
    const here: WalEvent[] = [];
    const walked = walkWalSegment(bytes, {
      startLsn: (segmentNumber * BigInt(mib)) as Lsn,
      segmentSizeBytes: mib,
      next,
      onEvent: (event) => here.push(event),
    });
    next = walked.continuation;
    events.unshift(...here);
    states.unshift(walked.state);
    if (last === undefined && walked.lastRecordLsn !== undefined) last = walked;
  }
  return { events, last: last!, states };
}

const micros = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::bigint::text`;

test.each(majorsUnderTest())(
  "every transaction and restore point in the WAL of PostgreSQL %i is found, with its time",
  async (major) => {
    await using pg = await testServer({
      major,
      walSegmentSizeMib: 1,
      settings: {
        track_commit_timestamp: "on",
        max_prepared_transactions: "4",
        wal_level: "logical",
        wal_compression: "on",
        wal_keep_size: "512MB",
        autovacuum: "off",
      },
    });
    const [{ lsn: startText }] = (await pg.sql<{ lsn: string }>(
      "SELECT pg_current_wal_lsn()::text AS lsn",
    )) as [{ lsn: string }];

    // Enough to cross pages and segments, with full page images, large commits (invalidations) and dropped relations.
    await pg.sql("CREATE TABLE t (n int PRIMARY KEY, payload text)");
    for (let round = 0; round < 40; round++) {
      await pg.sql(
        `INSERT INTO t SELECT g, repeat(md5((g * ${round})::text), 20) FROM generate_series(1, 400) g ON CONFLICT (n) DO UPDATE SET payload = excluded.payload || '${round}'`,
      );
      if (round % 10 === 5) await pg.sql("CHECKPOINT");
      await pg.sql(`CREATE TABLE dropped_${round} (a text, b text); DROP TABLE dropped_${round}`);
    }
    await pg.sql(
      "BEGIN; SAVEPOINT a; INSERT INTO t VALUES (-1); SAVEPOINT b; INSERT INTO t VALUES (-2); COMMIT",
    );
    await pg.sql("BEGIN; INSERT INTO t VALUES (-3); ROLLBACK");
    await pg.sql("SELECT pg_create_restore_point('before the accident')");
    await pg.sql("SELECT pg_switch_wal()");
    await pg.sql(
      "BEGIN; CREATE TABLE prepared_one AS SELECT 1 AS n; DROP TABLE t; PREPARE TRANSACTION 'one'",
    );
    const [prepared] = await pg.sql<{ xid: string }>(
      "SELECT transaction::text AS xid FROM pg_prepared_xacts",
    );
    await pg.sql("COMMIT PREPARED 'one'");
    await pg.sql("BEGIN; SELECT pg_current_xact_id(); CREATE TABLE never (); PREPARE TRANSACTION 'two'");
    const [abandoned] = await pg.sql<{ xid: string }>(
      "SELECT transaction::text AS xid FROM pg_prepared_xacts",
    );
    await pg.sql("ROLLBACK PREPARED 'two'");
    const [end] = await pg.sql<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
    // Commit timestamps are asked of the server only now, for every transaction that has one.
    const known = await pg.sql<{ xid: string; micros: string }>(
      `SELECT x.xid::text, ${micros("pg_xact_commit_timestamp(x.xid)")} AS micros
         FROM (SELECT g::text::xid AS xid FROM generate_series(3, (txid_current() - 1)::int) g
                WHERE g >= (SELECT oldest_commit_ts_xid::text::int FROM pg_control_checkpoint())) x
        WHERE pg_xact_commit_timestamp(x.xid) IS NOT NULL`,
    );

    const start = parseLsn(startText);
    const stop = parseLsn(end!.lsn);
    const walked = await walkBackwards(pg, start, stop);

    // The query above took a transaction ID itself: the WAL writer may have written its commit by now, behind `stop`.
    const transactions = walked.events.filter(
      (event): event is TransactionRecord =>
        event.kind === "transaction" && event.lsn >= start && event.lsn < stop,
    );
    const committed = new Map(
      transactions
        .filter(({ outcome }) => outcome === "commit")
        .map(({ xid, timeMicros }) => [xid, timeMicros]),
    );
    const expected = known.filter(({ xid }) => Number(xid) >= transactions[0]!.xid);
    expect(expected.length).toBeGreaterThan(80);
    // Subtransactions have a commit timestamp too, but no record of their own: that of their top-level transaction.
    const own = expected.filter(({ xid }) => committed.has(Number(xid)));
    expect(expected.length - own.length).toBe(2);
    for (const { xid, micros } of own)
      expect([xid, committed.get(Number(xid))]).toEqual([xid, BigInt(micros)]);
    expect(committed.size).toBe(own.length);

    expect(transactions.filter(({ outcome, prepared }) => outcome === "abort" && !prepared)).toHaveLength(1);
    expect(transactions.filter(({ prepared }) => prepared).map(({ outcome, xid }) => [outcome, xid])).toEqual(
      [
        ["commit", Number(prepared!.xid)],
        ["abort", Number(abandoned!.xid)],
      ],
    );
    const points = walked.events.filter(
      (event): event is RestorePointRecord => event.kind === "restore-point",
    );
    expect(points.map(({ name }) => name)).toEqual(["before the accident"]);
    expect(Math.abs(Number(points[0]!.timeMicros / 1000n) - Date.now())).toBeLessThan(120_000);

    expect(walked.last.state).toBe("ends");
    expect(walked.last.endLsn).toBeGreaterThanOrEqual(stop - 64n);
    expect(walked.states.slice(0, -1).filter((state) => state !== "filled")).toEqual([]);
    expect(walked.states.length).toBeGreaterThan(3);
    expect(formatLsn(walked.last.lastRecordLsn!)).toMatch(/^0\//);
  },
);

test("a flipped byte ends the WAL before the record that holds it", async () => {
  await using pg = await testServer({ major: 15, walSegmentSizeMib: 1, settings: { autovacuum: "off" } });
  await pg.sql("SELECT pg_switch_wal()");
  await pg.sql("CREATE TABLE t (n int)");
  const [before] = await pg.sql<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
  await pg.sql("INSERT INTO t SELECT generate_series(1, 100)");
  const damagedAt = parseLsn(before!.lsn);
  const segmentNumber = damagedAt / BigInt(mib);
  const name = walSegmentName({ timeline: timelineId(1), segmentNumber, segmentSizeBytes: mib });
  const bytes = await readFile(join(pg.dataDirectory, "pg_wal", name));
  const options = { startLsn: (segmentNumber * BigInt(mib)) as Lsn, segmentSizeBytes: mib };
  const whole = walkWalSegment(bytes, options);

  const offset = Number(damagedAt % BigInt(mib)) + 30;
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  const damaged = walkWalSegment(bytes, options);

  expect(whole.endLsn).toBeGreaterThan(damagedAt);
  expect(damaged.state).toBe("ends");
  expect(damaged.endLsn).toBeLessThanOrEqual(damagedAt);
  expect(damaged.endLsn).toBeGreaterThan(damagedAt - 64n);
});
