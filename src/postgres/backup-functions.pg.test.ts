import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import {
  createRestorePoint,
  currentWalLsn,
  startBackup,
  stopBackup,
  switchWal,
  type StoppedBackup,
} from "./backup-functions.ts";
import { readServerFacts } from "./backup-functions-facts.ts";
import type { Lsn } from "./lsn.ts";
import type { PostgresMajor } from "./majors.ts";
import { removeRecoverySettings, writeRecoverySettings } from "./recovery-settings-file.ts";
import { formatRecoverySettings, type RecoveryTarget } from "./recovery-settings.ts";
import { isCanonicalTime } from "./recovery-settings-time.ts";
import { makeDirectoryFor } from "./server-initialize.ts";
import { runProgram } from "./server-process.ts";
import { majorsUnderTest } from "./testing/majors-under-test.ts";
import { serveTestCluster, testServer, type TestServer } from "./testing/test-server.ts";

/** A server that archives with cp(1) into a folder beside it. */
async function archivingServer(major: PostgresMajor): Promise<TestServer & { readonly archive: string }> {
  const pg = await testServer({ major, walSegmentSizeMib: 1 });
  const archive = await pg.folder.make("archive");
  await pg.restart({
    settings: { archive_mode: "on", archive_command: `test ! -f ${archive}/%f && cp %p ${archive}/%f` },
  });
  return Object.assign(pg, { archive });
}

/** What an engine would do, in small: a copy of the files, then the label. */
async function copyBackup(pg: TestServer, name: string): Promise<{ path: string; stopped: StoppedBackup }> {
  const path = join(pg.folder.path, name);
  await using session = await pg.connect();
  await startBackup(session, { major: pg.major, label: name, fast: true });
  await cp(pg.dataDirectory, path, {
    recursive: true,
    filter: (from) => !/\/(pg_wal\/.+|postmaster\.(pid|opts))$/.test(from),
  });
  const stopped = await stopBackup(session, { major: pg.major });
  await writeFile(join(path, "backup_label"), stopped.backupLabel);
  await mkdir(join(path, "pg_wal"), { recursive: true });
  return { path, stopped };
}

async function recover(
  pg: TestServer & { archive: string },
  backup: string,
  target: RecoveryTarget,
  as: string,
) {
  const path = join(pg.folder.path, as);
  await cp(backup, path, { recursive: true });
  await writeRecoverySettings(
    path,
    formatRecoverySettings({
      target,
      targetTimeline: "latest",
      restoreCommand: `cp ${pg.archive}/%f %p`,
      action: "promote",
    }),
  );
  const { user } = pg.folder;
  if (user !== undefined) await runProgram("chown", ["-R", `${user.uid}:${user.gid}`, path]);
  await makeDirectoryFor(user, path);
  return serveTestCluster({
    folder: { ...pg.folder, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) },
    dataDirectory: path,
    binaries: pg.binaries,
    start: { readyTimeoutMs: 0 },
  });
}

/** Once `lsn` lies in an earlier segment than the archiver's last one, recovery can reach it. */
async function archived(pg: TestServer, lsn: Lsn) {
  await using session = await pg.connect();
  await switchWal(session);
  const name = `SELECT pg_walfile_name(($1::pg_lsn)::pg_lsn) <= last_archived_wal AS done FROM pg_stat_archiver`;
  for (;;) {
    const [row] = await session.query<{ done: boolean | null }>(name, [lsnText(lsn)]);
    if (row?.done === true) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

const lsnText = (lsn: Lsn) => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`;

describe.each(majorsUnderTest())("on PostgreSQL %i", (major) => {
  test("a backup between start and stop recovers to each kind of target", async () => {
    await using pg = await archivingServer(major);
    await pg.sql("CREATE TABLE film (n int); INSERT INTO film VALUES (1)");
    // A target left behind by an earlier recovery must not get in the way of a new one.
    await pg.sql("ALTER SYSTEM SET recovery_target_name = 'stale'");
    await writeFile(join(pg.dataDirectory, "postgresql.conf"), "recovery_target_xid = '777'\n", {
      flag: "a",
    });

    const { path, stopped } = await copyBackup(pg, "photo");
    await pg.sql("INSERT INTO film VALUES (2)");
    await using session = await pg.connect();
    const named = await createRestorePoint(session, "it's here\\");
    const [at] = await pg.sql<{ time: string }>(
      `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS time`,
    );
    const [three] = await pg.sql<{ xid: string }>("INSERT INTO film VALUES (3) RETURNING xmin::text AS xid");
    const end = await currentWalLsn(session);
    await archived(pg, end);

    const cases: [RecoveryTarget, number[]][] = [
      [{ kind: "immediate" }, [1]],
      [{ kind: "name", name: "it's here\\" }, [1, 2]],
      [{ kind: "lsn", lsn: named, inclusive: true }, [1, 2]],
      [{ kind: "time", time: at?.time ?? "", inclusive: true }, [1, 2]],
      [{ kind: "xid", xid: three?.xid ?? "", inclusive: false }, [1, 2]],
      [{ kind: "xid", xid: three?.xid ?? "", inclusive: true }, [1, 2, 3]],
      [{ kind: "latest" }, [1, 2, 3]],
    ];
    for (const [index, [target, expected]] of cases.entries()) {
      await using rescued = await recover(pg, path, target, `rescued-${index}`);
      await rescued.server.waitUntilPromoted({ timeoutMs: 60_000 });
      const rows = await rescued.sql<{ n: number }>("SELECT n FROM film ORDER BY n");
      expect([target, rows.map(({ n }) => n)]).toEqual([target, expected]);
      if (target.kind !== "latest") continue;

      await using other = await rescued.connect();
      const facts = await readServerFacts(other);
      expect(facts.currentTimeline).toBe(2);
      await rescued.sql("ALTER SYSTEM SET work_mem = '5MB'");
      await removeRecoverySettings(rescued.dataDirectory);
      await rescued.restart();
      expect(
        await rescued.sql(
          "SELECT current_setting('restore_command') AS command, current_setting('work_mem') AS memory",
        ),
      ).toEqual([{ command: "", memory: "5MB" }]);
    }

    expect(isCanonicalTime(stopped.endTime)).toBe(true);
  });

  test("a target beyond the end of WAL stops the server instead of promoting it", async () => {
    await using pg = await archivingServer(major);
    const { path, stopped } = await copyBackup(pg, "photo");
    await archived(pg, stopped.stopLsn);

    const target: RecoveryTarget = { kind: "name", name: "never made" };
    await using rescued = await recover(pg, path, target, "rescued");
    const error: unknown = await rescued.server.waitUntilPromoted().catch((thrown: unknown) => thrown);

    expect(isEngineError(error, "postgres-failed") && error.message).toContain(
      "recovery ended before configured recovery target was reached",
    );
    expect(rescued.server.exit?.code).toBe(1);
  });

  test("start and stop report positions, times, label and tablespace map", async () => {
    await using pg = await testServer({ major, dataChecksums: major % 2 === 0 });
    const location = await pg.folder.make("film room");
    await pg.sql(`CREATE TABLESPACE reels LOCATION '${location}'`);
    await using session = await pg.connect();
    const before = await currentWalLsn(session);

    const started = await startBackup(session, { major, label: "Barman backup cloud X", fast: true });
    await session.query("SELECT pg_sleep(0.01)");
    const stopped = await stopBackup(session, { major });

    expect(started.startLsn).toBeGreaterThanOrEqual(before);
    expect(stopped.stopLsn).toBeGreaterThan(started.startLsn);
    expect([started.timeline, stopped.timeline]).toEqual([1, 1]);
    expect([started.beginTime, stopped.endTime].every(isCanonicalTime)).toBe(true);
    expect(stopped.endTime > started.beginTime).toBe(true);
    expect(stopped.backupLabel).toContain("LABEL: Barman backup cloud X\n");
    expect(stopped.backupLabel).toContain("START TIMELINE: 1\n");
    expect(stopped.tablespaceMap).toMatch(/^\d+ .*film room\n$/);

    const facts = await readServerFacts(session);
    const [row] = await pg.sql<{ oid: number; id: string; version: number }>(
      `SELECT (SELECT oid::int FROM pg_tablespace WHERE spcname = 'reels') AS oid, system_identifier::text AS id,
              current_setting('server_version_num')::int AS version FROM pg_control_system()`,
    );
    expect(facts).toEqual({
      versionNumber: row?.version,
      major,
      dataDirectory: pg.dataDirectory,
      configFile: join(pg.dataDirectory, "postgresql.conf"),
      hbaFile: join(pg.dataDirectory, "pg_hba.conf"),
      identFile: join(pg.dataDirectory, "pg_ident.conf"),
      includedFiles: [],
      tablespaces: [{ oid: row?.oid, name: "reels", location }],
      systemIdentifier: BigInt(row?.id ?? ""),
      walSegmentSizeBytes: 16 * 1024 * 1024,
      blockSizeBytes: 8192,
      inRecovery: false,
      currentTimeline: 1,
      dataChecksums: major % 2 === 0,
      fullPageWrites: true,
      archiveMode: "off",
      archiveCommand: "(disabled)",
      archiveLibrary: major >= 15 ? "" : undefined,
    });
  });

  test("a role without rights is told which ones a backup needs, and grants are enough", async () => {
    await using pg = await testServer({ major });
    await pg.sql("CREATE ROLE keeper LOGIN");
    await writeFile(
      join(pg.dataDirectory, "pg_ident.conf"),
      "tidemark /^.*$ keeper\ntidemark /^.*$ postgres\n",
    );
    pg.server.reload();
    await pg.sql("SELECT pg_sleep(0.2)");
    await using keeper = await pg.connect({ user: "keeper" });

    const refused: unknown = await readServerFacts(keeper).catch((error: unknown) => error);
    expect(isEngineError(refused, "postgres-settings") && refused.hint).toContain(
      'GRANT pg_monitor TO "keeper"',
    );
    const denied: unknown = await startBackup(keeper, { major, label: "x", fast: true }).catch(
      (error: unknown) => error,
    );
    expect(isEngineError(denied, "postgres-settings") && denied.hint).toContain(
      "EXECUTE on the backup functions",
    );

    const functions =
      major >= 15
        ? ["pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"]
        : ["pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"];
    for (const name of [...functions, "pg_switch_wal()", "pg_create_restore_point(text)"]) {
      await pg.sql(`GRANT EXECUTE ON FUNCTION ${name} TO keeper`);
    }
    await pg.sql("GRANT pg_monitor TO keeper");
    expect((await readServerFacts(keeper)).major).toBe(major);
    await startBackup(keeper, { major, label: "x", fast: true });
    expect((await stopBackup(keeper, { major })).backupLabel).toContain("LABEL: x\n");
  });

  test("a standby can be backed up and says which timeline it follows", async () => {
    await using pg = await archivingServer(major);
    const { path, stopped } = await copyBackup(pg, "photo");
    await archived(pg, stopped.stopLsn);
    const standbyPath = join(pg.folder.path, "standby");
    await cp(path, standbyPath, { recursive: true });
    await writeFile(join(standbyPath, "standby.signal"), "");
    const { user } = pg.folder;
    if (user !== undefined) await runProgram("chown", ["-R", `${user.uid}:${user.gid}`, standbyPath]);
    await makeDirectoryFor(user, standbyPath);
    await using standby = await serveTestCluster({
      folder: {
        ...pg.folder,
        [Symbol.asyncDispose]: () => rm(standbyPath, { recursive: true, force: true }),
      },
      dataDirectory: standbyPath,
      binaries: pg.binaries,
      settings: { restore_command: `cp ${pg.archive}/%f %p` },
    });
    await using session = await standby.connect();

    const facts = await readServerFacts(session);
    expect([facts.inRecovery, facts.currentTimeline]).toEqual([true, 1]);
    const started = await startBackup(session, { major, label: "from the standby", fast: true });
    const result = await stopBackup(session, { major });
    expect([started.timeline, result.timeline]).toEqual([1, 1]);
    expect(result.backupLabel).toContain("BACKUP FROM: standby\n");
    expect(result.stopLsn).toBeGreaterThanOrEqual(started.startLsn);

    const refused: unknown = await switchWal(session).catch((error: unknown) => error);
    expect(isEngineError(refused, "postgres-settings")).toBe(true);
  });

  test("a backup start that waits for its checkpoint can be aborted, and the session goes on", async () => {
    await using pg = await testServer({
      major,
      settings: { checkpoint_timeout: "1h", checkpoint_completion_target: "0.9" },
    });
    await pg.sql("CREATE TABLE big AS SELECT n, repeat('x', 500) AS t FROM generate_series(1, 20000) AS n");
    await using session = await pg.connect();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);

    const outcome: unknown = await startBackup(session, {
      major,
      label: "slow",
      fast: false,
      signal: abort.signal,
    }).catch((error: unknown) => error);

    expect(isEngineError(outcome, "aborted")).toBe(true);
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});
