import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { fetchWalFile } from "../archive/wal-file.ts";
import { temporaryFolder, testRepository } from "../archive/testing/archive-bench.ts";
import { silentLog } from "../common/log.ts";
import { formatRecoverySettings } from "../postgres/recovery-settings.ts";
import type { Settings } from "../postgres/settings-file.ts";
import { majorsUnderTest } from "../postgres/testing/majors-under-test.ts";
import { serveTestCluster, testServer, type TestServer } from "../postgres/testing/test-server.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { agentStatus } from "./agent-status.ts";
import { requireLocalSystem } from "./local-system.ts";
import { startPrefetcher } from "./prefetcher.ts";
import { archiveCommandLine, prefetchRootOf } from "./shell-text.ts";
import { spoolRootOf } from "./spool.ts";
import { eventually } from "./testing/agent-bench.ts";

interface Stage {
  readonly pg: TestServer;
  readonly spool: string;
  readonly store: string;
  readonly settings: Settings;
  startAgent(): Promise<ChildProcess>;
}

async function stage(major: TestServer["major"]): Promise<Stage> {
  const pg = await testServer({ major, walSegmentSizeMib: 1, settings: { archive_mode: "on" } });
  onTestFinished(async () => pg[Symbol.asyncDispose]());
  const spool = join(pg.folder.path, "spool");
  const store = join(pg.folder.path, "store");
  await mkdir(store);
  const { systemIdentifier } = await requireLocalSystem(pg.dataDirectory);
  const settings = {
    archive_mode: "on",
    archive_command: archiveCommandLine(spoolRootOf(spool, systemIdentifier)),
    // So that what was archived can be compared with what PostgreSQL wrote.
    wal_keep_size: "512MB",
    max_wal_size: "1GB",
  };
  await pg.restart({ settings });
  const startAgent = async () => {
    const program = new URL("testing/agent-process.ts", import.meta.url).pathname;
    const agent = spawn(process.execPath, [program, pg.dataDirectory, spool, store], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void agent.kill("SIGKILL"));
    await once(agent.stdout, "data");
    return agent;
  };
  return { pg, spool, store, settings, startAgent };
}

async function writeWal(pg: TestServer, segments: number): Promise<void> {
  for (let segment = 0; segment < segments; segment++) {
    await pg.sql("INSERT INTO t SELECT md5(random()::text) FROM generate_series(1, 100)");
    await pg.sql("SELECT pg_switch_wal()");
  }
}

const names = async (pg: TestServer, suffix: ".ready" | ".done") =>
  (await readdir(join(pg.dataDirectory, "pg_wal", "archive_status")))
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length));

/** What PostgreSQL was told is archived, is. Gives how many files that are. */
async function compareArchive({ pg, store }: Stage): Promise<number> {
  const repository = testRepository(await openFileStore({ root: store }));
  const folder = await temporaryFolder();
  const done = await names(pg, ".done");
  for (const name of done) {
    const destination = join(folder, name);
    expect(await fetchWalFile({ name, destination, repositories: [repository] })).toMatchObject({
      kind: "delivered",
    });
    const [stored, local] = await Promise.all([
      readFile(destination),
      readFile(join(pg.dataDirectory, "pg_wal", name)),
    ]);
    expect(stored.equals(local)).toBe(true);
  }
  return done.length;
}

describe.each(majorsUnderTest())("beside PostgreSQL %i, the agent", (major) => {
  test("killed in a burst and started again has lost nothing that PostgreSQL was told is archived", async () => {
    const scene = await stage(major);
    const { pg } = scene;
    await pg.sql("CREATE TABLE t (x text)");
    for (let round = 0; round < 3; round++) {
      const agent = await scene.startAgent();
      const writing = writeWal(pg, 15);
      // At another moment in each round, the first soon after it has begun.
      await new Promise((resolve) => setTimeout(resolve, 50 + 170 * round));
      agent.kill("SIGKILL");
      await writing;
      await compareArchive(scene);
    }

    await scene.startAgent();
    await eventually(async () => {
      await pg.sql("SELECT pg_stat_clear_snapshot()");
      expect(await names(pg, ".ready")).toEqual([]);
    });
    expect(await compareArchive(scene)).toBeGreaterThanOrEqual(45);
  });

  test("feeds a recovery that gets every row, through prefetch", async () => {
    const scene = await stage(major);
    const { pg } = scene;
    await pg.sql("CREATE TABLE t (x text)");
    await pg.server.stop("fast");
    const copy = join(pg.folder.path, "copy");
    await promisify(execFile)("cp", ["-a", pg.dataDirectory, copy]);
    await scene.startAgent();
    await pg.restart({ settings: scene.settings });
    await writeWal(pg, 20);
    await eventually(async () => expect(await names(pg, ".ready")).toEqual([]));

    const system = await requireLocalSystem(copy);
    await using prefetcher = await startPrefetcher({
      root: prefetchRootOf(copy),
      repositories: [testRepository(await openFileStore({ root: scene.store }))],
      walSegmentSizeBytes: system.walSegmentSizeBytes,
      expectedSystemIdentifier: system.systemIdentifier,
      fetchCommand: ["false"],
      log: silentLog,
    });
    await writeFile(join(copy, "recovery.signal"), "");
    await using restored = await serveTestCluster({
      folder: { ...pg.folder, [Symbol.asyncDispose]: async () => undefined },
      dataDirectory: copy,
      binaries: pg.binaries,
      settings: formatRecoverySettings({
        target: { kind: "latest" },
        targetTimeline: "latest",
        restoreCommand: prefetcher.restoreCommand,
        action: "promote",
      }),
    });
    await restored.server.waitUntilPromoted();

    const count = "SELECT count(*)::int AS n, md5(string_agg(x, ',' ORDER BY x)) AS sum FROM t";
    expect(await restored.sql(count)).toEqual(await pg.sql(count));
  });

  test("with its store gone lets PostgreSQL run, shows the backlog, and drains it when the store is back", async () => {
    const scene = await stage(major);
    const { pg, spool, store } = scene;
    await pg.sql("CREATE TABLE t (x text)");
    await scene.startAgent();
    await rename(store, `${store}.away`);
    await writeWal(pg, 10);

    await eventually(async () => {
      const status = await agentStatus({ spoolDirectory: spool });
      expect(status).toMatchObject({ repositories: [{ state: "failing" }] });
      expect(status.waitingFiles).toBeGreaterThanOrEqual(10);
    });
    expect(await pg.sql("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 1000 }]);
    await rename(`${store}.away`, store);

    // PostgreSQL itself asks again only after a minute, but the files are in the archive long before.
    await eventually(async () =>
      expect(await agentStatus({ spoolDirectory: spool })).toMatchObject({ waitingFiles: 0 }),
    );
    await pg.sql("SELECT pg_switch_wal()");
    await eventually(async () => expect(await compareArchive(scene)).toBeGreaterThanOrEqual(1));
  });
});
