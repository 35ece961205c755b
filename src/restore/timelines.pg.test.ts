import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { anyMajorUnderTest } from "../postgres/testing/majors-under-test.ts";
import { serveTestCluster, testServer, type TestServer } from "../postgres/testing/test-server.ts";
import { timelineId, type TimelineId } from "../postgres/timeline.ts";
import { planRestore, type RestorePlan } from "./plan-restore.ts";
import { runRestore } from "./run-restore.ts";
import { startAndVerify } from "./start-and-verify.ts";
import {
  archiveThrough,
  currentLsn,
  sampleBackup,
  sampleRepository,
  type SampleRepository,
} from "./testing/sample-repository.ts";

async function planTo(
  sample: SampleRepository,
  target: RecoveryTarget,
  timeline: "latest" | TimelineId,
): Promise<RestorePlan> {
  const plan = await planRestore({
    repositories: [sample.repository],
    request: { target, timeline, backup: "auto" },
  });
  if (plan.kind === "unreachable") throw new Error(`${plan.reason}: ${plan.hint}`);
  return plan;
}

/** Restores into a new directory, verifies, and gives a server on it that archives into the same repository. */
async function continueFrom(
  source: TestServer,
  sample: SampleRepository,
  name: string,
  plan: RestorePlan,
): Promise<TestServer> {
  const dataDirectory = join(source.folder.path, name);
  await runRestore({
    plan,
    dataDirectory,
    tablespaceMap: new Map(),
    recovery: { restoreCommand: sample.restoreCommand, archiving: "preserve" },
    owner: source.folder.user,
    log: silentLog,
  });
  const { server } = await startAndVerify({
    plan,
    start: {
      binaries: source.binaries,
      dataDirectory,
      settings: { ...sample.archiveSettings, fsync: "off" },
    },
  });
  await server!.stop("fast");
  return serveTestCluster({
    folder: { ...source.folder, [Symbol.asyncDispose]: async () => undefined },
    dataDirectory,
    binaries: source.binaries,
    settings: sample.archiveSettings,
  });
}

const rowsOf = async (pg: TestServer): Promise<number[]> =>
  (await pg.sql<{ n: number }>("SELECT n FROM t ORDER BY n")).map(({ n }) => n);

test("a restore of a restore of a restore: five timelines, each reachable again, with WAL on both sides of each switch", async () => {
  await using first = await testServer({ major: anyMajorUnderTest(), walSegmentSizeMib: 1 });
  const sample = await sampleRepository(first.folder);
  await first.restart({ settings: sample.archiveSettings });
  await first.sql("CREATE TABLE t (n int)");
  await sampleBackup(first, sample);

  // Timeline k gets row 10k, is left after it, and goes on with row 10k + 1, which the next one must not have.
  const ends: { timeline: number; rows: number[] }[] = [];
  let server = first;
  for (let timeline = 1; timeline <= 5; timeline++) {
    await server.sql(`INSERT INTO t VALUES (${timeline * 10})`);
    const leftAt = await currentLsn(server);
    await server.sql(`INSERT INTO t VALUES (${timeline * 10 + 1})`);
    await archiveThrough(server, sample);
    ends.push({ timeline, rows: await rowsOf(server) });
    await server.server.stop("fast");
    if (timeline === 5) break;
    const plan = await planTo(sample, { kind: "lsn", lsn: leftAt, inclusive: false }, timelineId(timeline));
    server = await continueFrom(first, sample, `restored-${timeline + 1}`, plan);
  }

  expect(ends.map(({ rows }) => rows)).toEqual([
    [10, 11],
    [10, 20, 21],
    [10, 20, 30, 31],
    [10, 20, 30, 40, 41],
    [10, 20, 30, 40, 50, 51],
  ]);
  const latest = await planTo(sample, { kind: "latest" }, "latest");
  expect(latest.recovery.history.timeline).toBe(5);
  for (const { timeline, rows } of ends) {
    const plan = await planTo(sample, { kind: "latest" }, timelineId(timeline));
    const again = await continueFrom(first, { ...sample, archiveSettings: {} }, `again-${timeline}`, plan);
    expect([timeline, await rowsOf(again)]).toEqual([timeline, rows]);
    await again.server.stop("immediate");
    await rm(again.dataDirectory, { recursive: true });
  }
});

test("a time for which there are two stories comes with a warning, one before the fork or on a chosen timeline without", async () => {
  await using first = await testServer({ major: anyMajorUnderTest(), walSegmentSizeMib: 1 });
  const sample = await sampleRepository(first.folder);
  await first.restart({ settings: sample.archiveSettings });
  const now = async (server: TestServer): Promise<RecoveryTarget> => {
    const [row] = await server.sql<{ at: string }>(
      "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS at",
    );
    return { kind: "time", time: row!.at, inclusive: true };
  };
  await first.sql("CREATE TABLE t (n int)");
  await sampleBackup(first, sample);
  // Backups end on whole seconds.
  await first.sql("SELECT pg_sleep(1.1)");
  const beforeFork = await now(first);
  await first.sql("INSERT INTO t VALUES (10)");
  const leftAt = await currentLsn(first);
  await first.sql("INSERT INTO t VALUES (11)");
  const between = await now(first);
  await archiveThrough(first, sample);
  await first.server.stop("fast");
  const fork = await planTo(sample, { kind: "lsn", lsn: leftAt, inclusive: false }, "latest");
  const second = await continueFrom(first, sample, "restored", fork);
  await second.sql("INSERT INTO t VALUES (20)");
  await archiveThrough(second, sample);
  await second.server.stop("fast");

  const notesFor = async (target: RecoveryTarget, timeline: "latest" | TimelineId) =>
    (await planTo(sample, target, timeline)).notes.filter((note) => note.includes("--timeline 1"));
  expect(await notesFor(between, "latest")).toEqual([
    expect.stringMatching(/^timeline 2 left timeline 1 at .* nothing that timeline 1 committed/),
  ]);
  expect(await notesFor(between, timelineId(2))).toEqual([]);
  expect(await notesFor(beforeFork, "latest")).toEqual([]);
});
