import { access } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { connect } from "../postgres/connection.ts";
import { testServer } from "../postgres/testing/test-server.ts";
import { timelineId } from "../postgres/timeline.ts";
import { readPlanFacts } from "../repository/plan-facts.ts";
import { planRestore } from "./plan-restore.ts";
import { runRestore } from "./run-restore.ts";
import { startAndVerify } from "./start-and-verify.ts";
import { archiveThrough, currentLsn, sampleBackup, sampleRepository } from "./testing/sample-repository.ts";

test("a timeline whose first segment is not archived yet is refused, because PostgreSQL would replay the parent's", async () => {
  await using source = await testServer({ walSegmentSizeMib: 1 });
  const sample = await sampleRepository(source.folder);
  await source.restart({ settings: sample.archiveSettings });
  await source.sql("CREATE TABLE t (n int)");
  await sampleBackup(source, sample);
  await source.sql("INSERT INTO t VALUES (1)");
  const leftAt = await currentLsn(source);
  await source.sql("INSERT INTO t VALUES (666)");
  await archiveThrough(source, sample);
  await source.server.stop("immediate");
  const { repository } = sample;
  const restore = async (
    name: string,
    archiving: "off" | "preserve",
    timeline: "latest" | 1 | 2,
    lsn?: typeof leftAt,
  ) => {
    const target =
      lsn === undefined ? { kind: "latest" as const } : { kind: "lsn" as const, lsn, inclusive: false };
    const planned = await planRestore({
      repositories: [repository],
      request: { target, timeline: timelineId(1), backup: "auto" },
    });
    if (planned.kind === "unreachable") throw new Error(planned.reason);
    const facts = await readPlanFacts(repository);
    const history = timeline === 2 ? facts.histories.get(timelineId(2)) : undefined;
    const plan = {
      ...planned,
      recovery: { ...planned.recovery, ...(history === undefined ? {} : { history }) },
    };
    const dataDirectory = join(source.folder.path, name);
    await runRestore({
      plan,
      dataDirectory,
      tablespaceMap: new Map(),
      recovery: { restoreCommand: sample.restoreCommand, archiving },
      owner: source.folder.user,
      log: silentLog,
    });
    const settings = archiving === "preserve" ? sample.archiveSettings : {};
    const { server } = await startAndVerify({
      plan,
      start: { binaries: source.binaries, dataDirectory, settings },
    });
    return server!;
  };

  // Timeline 2 leaves 1 before the wrong row, archives its history, and dies before its first segment is full.
  const second = await restore("second", "preserve", 1, leftAt);
  const history = join(sample.directory, "srv/wals/00000002.history");
  await expect
    .poll(
      async () =>
        access(history).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true);
  await second.kill();

  const planned = await planRestore({
    repositories: [repository],
    request: { target: { kind: "latest" }, timeline: "latest", backup: "auto" },
  });
  expect(planned).toMatchObject({
    kind: "unreachable",
    reason: expect.stringMatching(
      /does not yet hold the WAL with which timeline 2 left timeline 1 at .*PostgreSQL would replay "00000001/,
    ),
  });

  // The proof: told to follow timeline 2 all the same, PostgreSQL replays the row that timeline 2 does not have.
  const misled = await restore("misled", "off", 2);
  await using session = await connect(misled.connection);
  expect(await session.query("SELECT n FROM t ORDER BY n")).toEqual([{ n: 1 }, { n: 666 }]);
  await misled.stop("immediate");
});
