import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { silentLog } from "../../common/log.ts";
import { startBackup, stopBackup } from "../../postgres/backup-functions.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import { parseSystemIdentifier } from "../../postgres/system-identifier.ts";
import { lastSegmentBefore, segmentContaining } from "../../postgres/wal-file-name.ts";
import type { TestFolder, TestServer } from "../../postgres/testing/test-server.ts";
import { backupIdAt, type BackupId } from "../../repository/backup-id.ts";
import type { FinishedBackupInfo } from "../../repository/backup-info.ts";
import { formatBackupInfo } from "../../repository/backup-info-text.ts";
import { formatBackupManifest } from "../../repository/backup-manifest.ts";
import { archivePartKey, backupInfoKey, backupManifestKey, type ArchiveName } from "../../repository/keys.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { openFileStore } from "../../storage/file/file-store.ts";

const run = promisify(execFile);

/** A repository in a directory that a server archives into by shell commands, and backups made with tar(1): nothing of our own writers, so that reading is tested by itself. */
export interface SampleRepository {
  readonly repository: Repository;
  readonly directory: string;
  readonly archiveSettings: Readonly<Record<string, string>>;
  readonly restoreCommand: string;
}

export async function sampleRepository(folder: TestFolder, name = "srv"): Promise<SampleRepository> {
  const directory = await folder.make("repo");
  const wals = join(directory, name, "wals");
  await mkdir(wals, { recursive: true });
  await run("chmod", ["-R", "a+rwX", directory]);
  const place = `case %f in *.history) d="${wals}";; *) d="${wals}/$(printf %%.16s %f)";; esac`;
  return {
    directory,
    repository: {
      name: "sample",
      server: parseServerName(name),
      store: await openFileStore({ root: directory }),
      log: silentLog,
    },
    archiveSettings: {
      archive_mode: "on",
      archive_command: `${place}; mkdir -p "$d" && test ! -f "$d/%f" && cp %p "$d/.%f.tmp" && mv "$d/.%f.tmp" "$d/%f"`,
    },
    restoreCommand: `${place}; cp "$d/%f" %p`,
  };
}

export interface SampleBackupOptions {
  readonly manifest?: boolean;
  readonly id?: string;
  readonly compress?: boolean;
}

/** Takes a backup of a running server in three parts, with its tablespaces. */
export async function sampleBackup(
  pg: TestServer,
  { repository }: SampleRepository,
  options: SampleBackupOptions = {},
): Promise<BackupId> {
  const started = new Date();
  const id = (options.id ?? backupIdAt(started)) as BackupId;
  await using session = await pg.connect();
  const begun = await startBackup(session, { major: pg.major, label: "sample", fast: true });
  const [facts] = await session.query<{ id: string; segment: string; version: string }>(
    `SELECT system_identifier::text AS id, current_setting('server_version_num') AS version,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment FROM pg_control_system()`,
  );
  const spaces = await session.query<{ name: string; oid: number; location: string }>(
    "SELECT spcname AS name, oid::int AS oid, pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''",
  );
  const parts: { archive: ArchiveName; index: number; tar: Buffer }[] = [];
  for (const { oid, location } of spaces) {
    parts.push({ archive: `${oid}`, index: 0, tar: await tar(location, ["."]) });
  }
  const top = (await readdir(pg.dataDirectory)).filter(
    (name) =>
      !["base", "pg_wal", "pg_tblspc", "postmaster.pid", "postmaster.opts", "pg_stat_tmp"].includes(name),
  );
  const rest = [
    "--no-recursion",
    ".",
    "pg_wal",
    "pg_tblspc",
    "--recursion",
    "--exclude=pg_control",
    ...top.map((name) => `./${name}`),
  ];
  parts.push({ archive: "data", index: 0, tar: await tar(pg.dataDirectory, rest) });
  parts.push({ archive: "data", index: 1, tar: await tar(pg.dataDirectory, ["base"]) });
  const stopped = await stopBackup(session, { major: pg.major });
  const label = join(pg.folder.path, "backup_label");
  await writeFile(label, stopped.backupLabel);
  parts.push({
    archive: "data",
    index: 2,
    tar: await tar(pg.dataDirectory, ["global/pg_control", "-C", pg.folder.path, "backup_label"]),
  });
  await rm(label);
  const segmentBytes = Number(facts?.segment);
  const info: FinishedBackupInfo = {
    kind: "done",
    backupName: undefined,
    backupLabel: stopped.backupLabel,
    beginTime: started,
    endTime: new Date(Date.parse(stopped.endTime.replace(" ", "T")) + 1),
    beginWal: segmentContaining(begun.startLsn, begun.timeline, segmentBytes),
    endWal: lastSegmentBefore(stopped.stopLsn, stopped.timeline, segmentBytes),
    beginLsn: begun.startLsn,
    endLsn: stopped.stopLsn,
    timeline: stopped.timeline,
    walSegmentSizeBytes: segmentBytes,
    systemIdentifier: parseSystemIdentifier(facts?.id ?? ""),
    serverVersion: Number(facts?.version),
    pgdata: pg.dataDirectory,
    configFile: undefined,
    hbaFile: undefined,
    identFile: undefined,
    includedFiles: [],
    tablespaces: spaces,
    copyStats: undefined,
  };
  await store(repository, id, parts, info, options);
  await session.query("SELECT pg_switch_wal()");
  return id;
}

async function tar(directory: string, names: readonly string[]): Promise<Buffer> {
  const { stdout } = await run(
    "tar",
    ["--format=posix", "--warning=no-file-changed", "-cf", "-", "-C", directory, ...names],
    {
      encoding: "buffer",
      maxBuffer: 2 ** 31 - 1,
    },
  ).catch((error: unknown) => {
    // GNU tar ends with 1 when a file changed as it was read: that is what a backup of a running server is.
    if (
      typeof error === "object" &&
      error !== null &&
      "code" in error &&
      error.code === 1 &&
      "stdout" in error
    ) {
      return { stdout: error.stdout as Buffer };
    }
    throw error;
  });
  return stdout;
}

async function store(
  repository: Repository,
  id: BackupId,
  parts: readonly { readonly archive: ArchiveName; readonly index: number; readonly tar: Buffer }[],
  info: FinishedBackupInfo,
  options: SampleBackupOptions,
): Promise<void> {
  const listed = [];
  for (const { archive, index, tar } of parts) {
    const stored = options.compress === false ? tar : gzipSync(tar, { level: 1 });
    const extension = options.compress === false ? "" : ".gz";
    const key = archivePartKey(repository.server, id, { archive, index, extension });
    await repository.store.put(key, [stored]);
    listed.push({
      name: key.slice(key.lastIndexOf("/") + 1),
      archive,
      storedBytes: stored.length,
      tarBytes: tar.length,
      sha256: createHash("sha256").update(stored).digest("hex"),
    });
  }
  if (options.manifest !== false) {
    const manifest = formatBackupManifest({
      format: 1,
      tidemarkVersion: "test",
      parts: listed.sort((a, b) => (a.name < b.name ? -1 : 1)),
      fileCount: 0,
      dataBytes: 0,
      pagesVerified: false,
      damagedPages: [],
      damagedPageCount: 0,
      fromStandby: false,
      tags: {},
    });
    await repository.store.put(backupManifestKey(repository.server, id), [Buffer.from(manifest)]);
  }
  await repository.store.put(backupInfoKey(repository.server, id), [Buffer.from(formatBackupInfo(info))]);
}

/** Waits until everything up to a position is in the archive; the position's segment is completed first. */
export async function archiveThrough(pg: TestServer, sample: SampleRepository): Promise<void> {
  // A segment in which nothing has been written yet is not switched, and so never archived.
  await pg.sql("SELECT pg_create_restore_point('archived')");
  const [row] = await pg.sql<{ name: string }>("SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name");
  await pg.sql("SELECT pg_switch_wal()");
  const path = join(
    sample.directory,
    sample.repository.server,
    "wals",
    (row?.name ?? "").slice(0, 16),
    row?.name ?? "",
  );
  for (let turn = 0; turn < 400; turn++) {
    if ((await stat(path).catch(() => undefined)) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`"${path}" was not archived`);
}

export async function currentLsn(pg: TestServer) {
  const [row] = await pg.sql<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
  return parseLsn(row?.lsn ?? "");
}
