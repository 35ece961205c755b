import { describe, expect, test } from "vitest";
import { mapConcurrent } from "../src/common/concurrency.ts";
import { majorsUnderTest } from "../src/postgres/testing/majors-under-test.ts";
import { findGaps, findUnarchived, untilDrained } from "./support/archive-audit.ts";
import { contentsAt, restoreAndStart } from "./support/restored.ts";
import { addRow, makeTables, readContents } from "./support/rows.ts";
import { startSystem } from "./support/system.ts";

describe.each(majorsUnderTest())("a system of PostgreSQL %i", (major) => {
  test("archives by its agent, backs up, and restores to each kind of target, by the command line", async () => {
    await using system = await startSystem({ major });
    const { server } = system;
    const sql = server.sql;
    await using agent = await system.agent();
    await makeTables(sql);
    await addRow(sql, 1);
    await system.json(["base", "create", "-D", server.dataDirectory]);
    await addRow(sql, 2);
    const third = await addRow(sql, 3);
    await sql("SELECT pg_create_restore_point('a good moment')");
    const fourth = await addRow(sql, 4);
    await sql("SELECT pg_switch_wal()");
    await addRow(sql, 5);
    const end = await readContents(sql);
    await sql("DROP TABLE t, bulk");
    await sql("SELECT pg_switch_wal()");
    await untilDrained(server.dataDirectory);
    const bulk = end?.bulk ?? "";
    const through = (last: number) => ({ ids: [1, 2, 3, 4, 5].slice(0, last), bulk });

    const targets: readonly (readonly [readonly string[], ReturnType<typeof through> | undefined])[] = [
      [["--to-latest"], undefined],
      [["--to-immediate"], through(1)],
      [["--to-time", third.time], through(3)],
      [["--to-time", third.time, "--exclusive"], through(2)],
      [["--to-lsn", third.lsn], through(3)],
      // The record that starts there is the restore point, which changes nothing.
      [["--to-lsn", third.lsn, "--exclusive"], through(3)],
      [["--to-xid", fourth.xid], through(4)],
      [["--to-xid", fourth.xid, "--exclusive"], through(3)],
      [["--to-name", "a good moment"], through(3)],
    ];
    const found = await mapConcurrent(targets, 2, async ([args]) => [args, await contentsAt(system, args)]);

    expect(found).toEqual(targets);
    expect(await findUnarchived(system.repository, server.dataDirectory)).toEqual([]);
    expect(await findGaps(system.repository, 1024 * 1024)).toEqual([]);
    await using latest = await restoreAndStart(system, ["--to-time", third.time]);
    expect(latest.report.recovery?.newTimeline).toBe(2);
    expect(await agent.end("SIGTERM")).toMatchObject({ signal: null });
  });
});
