import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { isEngineError } from "../common/errors.ts";
import { formatLsn, lsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { connect } from "../postgres/connection.ts";
import { majorsUnderTest } from "../postgres/testing/majors-under-test.ts";
import { testServer, testSettings, type TestServer } from "../postgres/testing/test-server.ts";
import { planRestore, type RestorePlan } from "./plan-restore.ts";
import { runRestore } from "./run-restore.ts";
import { startAndVerify, type VerifiedRecovery } from "./start-and-verify.ts";
import {
  archiveThrough,
  currentLsn,
  sampleBackup,
  sampleRepository,
  type SampleRepository,
} from "./testing/sample-repository.ts";

async function plan(sample: SampleRepository, target: RecoveryTarget): Promise<RestorePlan> {
  const planned = await planRestore({
    repositories: [sample.repository],
    request: { target, timeline: "latest", backup: "auto" },
  });
  if (planned.kind === "unreachable") throw new Error(`${planned.reason}: ${planned.hint}`);
  return planned;
}

async function refusal(sample: SampleRepository, target: RecoveryTarget): Promise<string> {
  const planned = await planRestore({
    repositories: [sample.repository],
    request: { target, timeline: "latest", backup: "auto" },
  });
  if (planned.kind === "reachable") throw new Error("expected a refusal");
  return planned.reason;
}

/** Restores, starts, verifies, and gives the rows of table `t` (undefined when it does not exist). */
async function restored(
  pg: TestServer,
  sample: SampleRepository,
  target: RecoveryTarget,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ rows: number[] | undefined; verified: VerifiedRecovery }> {
  const found = await plan(sample, target);
  const dataDirectory = join(pg.folder.path, `restored-${Math.random().toString(36).slice(2)}`);
  await runRestore({
    plan: found,
    dataDirectory,
    tablespaceMap: new Map(),
    recovery: { restoreCommand: sample.restoreCommand },
    owner: pg.folder.user,
    log: silentLog,
  });
  const verified = await startAndVerify({
    plan: found,
    start: { binaries: pg.binaries, dataDirectory, settings: { ...testSettings, ...settings } },
    timeoutMs: 60_000,
  });
  try {
    await using session = await connect(verified.server!.connection);
    const [exists] = await session.query<{ there: boolean }>("SELECT to_regclass('t') IS NOT NULL AS there");
    if (exists?.there !== true) return { rows: undefined, verified };
    const rows = await session.query<{ n: number }>("SELECT n FROM t ORDER BY n");
    return { rows: rows.map(({ n }) => n), verified };
  } finally {
    await verified.server!.stop("immediate");
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

const commitTime = async (pg: TestServer, xid: string): Promise<string> => {
  const [row] = await pg.sql<{ at: string }>(
    `SELECT to_char(pg_xact_commit_timestamp('${xid}'::xid) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS at`,
  );
  return row!.at;
};

/** Inserts a row in a transaction of its own and gives its ID. */
const insert = async (pg: TestServer, n: number): Promise<string> => {
  const [row] = await pg.sql<{ xid: string }>(
    `INSERT INTO t VALUES (${n}) RETURNING (txid_current() % 4294967296)::text AS xid`,
  );
  return row!.xid;
};

describe.each(majorsUnderTest())("a repository of PostgreSQL %i", (major) => {
  test("restores to each kind of target, and refuses what cannot be reached", async () => {
    await using source = await testServer({ major, walSegmentSizeMib: 1 });
    const sample = await sampleRepository(source.folder);
    await source.restart({ settings: { ...sample.archiveSettings, track_commit_timestamp: "on" } });
    await source.sql("CREATE TABLE t (n int)");
    await insert(source, 1);
    await sampleBackup(source, sample);
    await insert(source, 2);
    const third = await insert(source, 3);
    const thirdTime = await commitTime(source, third);
    await source.sql("SELECT pg_create_restore_point('a good moment')");
    const afterThird = await currentLsn(source);
    await insert(source, 4);
    const fifth = await insert(source, 5);
    const fifthTime = await commitTime(source, fifth);
    await source.sql("DROP TABLE t");
    const [last] = await source.sql<{ at: string }>(
      "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS at",
    );
    await archiveThrough(source, sample);
    const end = await currentLsn(source);

    const rowsAt = async (target: RecoveryTarget) => (await restored(source, sample, target)).rows;
    expect(await rowsAt({ kind: "latest" })).toBeUndefined();
    expect(await rowsAt({ kind: "immediate" })).toEqual([1]);
    expect(await rowsAt({ kind: "time", time: fifthTime, inclusive: true })).toEqual([1, 2, 3, 4, 5]);
    expect(await rowsAt({ kind: "time", time: fifthTime, inclusive: false })).toEqual([1, 2, 3, 4]);
    expect(await rowsAt({ kind: "time", time: thirdTime, inclusive: true })).toEqual([1, 2, 3]);
    expect(await rowsAt({ kind: "xid", xid: third, inclusive: true })).toEqual([1, 2, 3]);
    expect(await rowsAt({ kind: "xid", xid: third, inclusive: false })).toEqual([1, 2]);
    expect(await rowsAt({ kind: "name", name: "a good moment" })).toEqual([1, 2, 3]);
    const toLsn = await restored(source, sample, { kind: "lsn", lsn: afterThird, inclusive: false });
    expect(toLsn.rows).toEqual([1, 2, 3]);
    expect(toLsn.verified).toMatchObject({ newTimeline: 2, reachedLsn: afterThird });
    // Between two records: PostgreSQL stops at the next one, and names that one's position.
    const between = lsn(afterThird + 1n);
    expect(await rowsAt({ kind: "lsn", lsn: between, inclusive: false })).toEqual([1, 2, 3]);

    expect(await refusal(sample, { kind: "time", time: last!.at, inclusive: true })).toMatch(
      /^the newest transaction in the archive ended at .*, not after the target/,
    );
    expect(await refusal(sample, { kind: "lsn", lsn: end, inclusive: true })).toMatch(
      /no record starts at the target|the archive ends at/,
    );
    expect(
      await refusal(sample, { kind: "time", time: "2020-01-01 00:00:00.000000+00:00", inclusive: true }),
    ).toMatch(/is before the end of the first usable backup/);
  });

  test("says what PostgreSQL said when a target was not reached", async () => {
    await using source = await testServer({ major, walSegmentSizeMib: 1 });
    const sample = await sampleRepository(source.folder);
    await source.restart({ settings: sample.archiveSettings });
    await source.sql("CREATE TABLE t (n int)");
    await sampleBackup(source, sample);
    await insert(source, 2);
    await archiveThrough(source, sample);

    const missed = await restored(source, sample, { kind: "xid", xid: "99999", inclusive: true }).catch(
      (error: unknown) => error,
    );

    if (!isEngineError(missed, "target-missed")) throw missed;
    expect(missed.message).toMatch(/recovery ended before configured recovery target was reached/);
    expect(missed.hint).toMatch(/--to-latest/);
  });
});

test("a restored server does not archive, keeps its origin's limits, and has a history", async () => {
  await using source = await testServer({ walSegmentSizeMib: 1 });
  const sample = await sampleRepository(source.folder);
  await source.restart({ settings: { ...sample.archiveSettings, max_connections: "123" } });
  await source.sql(`ALTER SYSTEM SET archive_mode = 'on'`);
  await source.sql("CREATE TABLE t (n int)");
  await sampleBackup(source, sample);
  await archiveThrough(source, sample);
  const found = await plan(sample, { kind: "latest" });
  const dataDirectory = join(source.folder.path, "restored");

  const result = await runRestore({
    plan: found,
    dataDirectory,
    tablespaceMap: new Map(),
    recovery: { restoreCommand: sample.restoreCommand },
    owner: source.folder.user,
    log: silentLog,
  });

  const auto = await readFile(join(dataDirectory, "postgresql.auto.conf"), "utf8");
  expect(auto).toMatch(/archive_mode = 'off'/);
  expect(auto).toMatch(/max_connections = '123'/);
  expect(result.notes.join("\n")).toMatch(/max_connections = 123/);
  const verified = await startAndVerify({ plan: found, start: { binaries: source.binaries, dataDirectory } });
  await using session = await connect(verified.server!.connection);
  expect(await session.query("SELECT current_setting('archive_mode') AS mode")).toEqual([{ mode: "off" }]);
  expect(formatLsn(verified.reachedLsn!)).toBe(formatLsn(found.walEnd!.endLsn));
  expect(verified.stopReason).toBe("end of WAL");
  await verified.server!.stop("immediate");
});
