import { randomUUID } from "node:crypto";
import { chmod, lchown, mkdir, rename, rm, symlink } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { syncDirectory } from "../common/durable-file.ts";
import { EngineError, fileError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import { formatBytes } from "../common/units.ts";
import { serverMajor } from "../repository/backup-info.ts";
import { describeRepository } from "../repository/repository.ts";
import { describeReplaced, type ReplacedObject } from "../repository/several-repositories.ts";
import type { RestorePart } from "./backup-parts.ts";
import { checkBackupLabel, checkControlFile } from "./check-restored.ts";
import { requireDiskSpace, spaceNeeds } from "./disk-space.ts";
import { controlPath, heldControlPath, markerName, writeMarker, writeTablespaceMark } from "./marker.ts";
import { neededDirectories, placeInDataDirectory, placeInTablespace } from "./members.ts";
import type { RestorePlan } from "./plan-restore.ts";
import { writeRestoredSettings, type RecoveryOptions } from "./restored-settings.ts";
import { syncFileSystems } from "./sync-file-systems.ts";
import { tablespaceTargets, type TablespaceMap, type TablespaceTarget } from "./tablespaces.ts";
import { requireEmptyDataDirectory, requireEmptyTablespaceDirectory } from "./target-directory.ts";
import { TreeWriter, type Owner } from "./tree-writer.ts";
import { unpackArchives } from "./unpack.ts";

/** How far a restore is. Sizes are of the stored objects. */
export interface RestoreProgress {
  readonly phase: "unpack" | "settings" | "sync" | "done";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface RestoreOptions {
  /** Its sources are read from. */
  readonly plan: RestorePlan;
  /** Absent or empty. */
  readonly dataDirectory: string;
  readonly tablespaceMap: TablespaceMap;
  readonly recovery: RecoveryOptions;
  /** Parts fetched and unpacked at a time. Default: one more than there are processors. */
  readonly concurrency?: number | undefined;
  /** Who owns the files, when we are root: the server's user. */
  readonly owner?: Owner | undefined;
  /** The major version of the server that will run on it, where the caller knows it. */
  readonly serverMajor?: number | undefined;
  readonly progress?: ((progress: RestoreProgress) => void) | undefined;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

export interface RestoreResult {
  readonly dataDirectory: string;
  readonly backupId: string;
  readonly tablespaces: readonly TablespaceTarget[];
  readonly fileCount: number;
  readonly dataBytes: number;
  readonly storedBytes: number;
  readonly durationMs: number;
  /** Objects that were damaged or missing in one repository, and what stood in for them. */
  readonly replaced: readonly ReplacedObject[];
  /** What a person should know: what was changed in the configuration. */
  readonly notes: readonly string[];
}

/** As for a backup: more would cost memory, and compete with whatever else this machine does. */
const maxDefaultParts = 8;

/**
 * Restores a base backup and sets it up for the planned recovery; the server is not started. Everything that can be known
 * beforehand is checked before anything is written. On failure the directory cannot be started (`marker.ts`) and
 * `cleanUnfinishedRestore` empties it.
 *
 * Throws `target-directory`, `usage`, `disk-full`, `postgres-missing` (another major version) before writing;
 * `object-corrupt`, `object-missing`, `file-io`, `disk-full`, `aborted` and what the store throws after.
 */
export async function runRestore(options: RestoreOptions): Promise<RestoreResult> {
  const started = performance.now();
  const { plan, log, signal } = options;
  const dataDirectory = resolve(options.dataDirectory);
  const { backup } = plan.recovery;
  const tablespaces = await checkBeforeWriting(dataDirectory, options);
  const place = placesOf(dataDirectory, tablespaces);
  await prepareDirectories([dataDirectory], options.owner);
  const restoreId = randomUUID();
  await writeMarker(dataDirectory, {
    restoreId,
    backup: backup.id,
    repository: plan.sources.map(({ repository }) => describeRepository(repository)).join(", "),
    startedAt: new Date().toISOString(),
    tablespaceDirectories: linked(tablespaces),
  });
  faultPoint("restore:marker-written");
  await prepareDirectories(linked(tablespaces), options.owner);
  for (const directory of linked(tablespaces)) await writeTablespaceMark(directory, restoreId);
  log.info("restoring a base backup", {
    backup: backup.id,
    path: dataDirectory,
    bytes: plan.backup.storedBytes,
  });

  const writers = createWriters(options, dataDirectory, tablespaces, place);
  const report = reporter(options);
  const replaced: ReplacedObject[] = [...plan.layouts.replaced];
  await unpackArchives({
    archives: plan.layouts.archives,
    writerOf: (archive) => writers.get(archive) ?? missingWriter(archive),
    clear: async (archive) => clearArchive(archive, writers, { dataDirectory, tablespaces }),
    concurrency: options.concurrency ?? Math.min(availableParallelism() + 1, maxDefaultParts),
    onBytes: report.addBytes,
    onReplaced: (object) => {
      replaced.push(object);
      log.warn("an object of the backup is bad here, and is taken from another repository", { ...object });
    },
    signal,
  });
  for (const writer of writers.values()) writer.finish();
  faultPoint("restore:unpacked");

  report.enter("settings");
  const control = await checkControlFile(dataDirectory, backup);
  await checkBackupLabel(dataDirectory, backup, options.owner);
  const root = writers.get("data") ?? missingWriter("data");
  for (const directory of neededDirectories) root.ensureDirectory(directory);
  await linkTablespaces(dataDirectory, tablespaces, options.owner);
  const notes = await writeRestoredSettings(dataDirectory, {
    plan: plan.recovery,
    control,
    recovery: options.recovery,
  });
  faultPoint("restore:settings-written");

  report.enter("sync");
  await syncFileSystems([dataDirectory, ...linked(tablespaces)], signal);
  await commitRestore(dataDirectory, linked(tablespaces));
  report.enter("done");
  const all = [...writers.values()];
  const result: RestoreResult = {
    dataDirectory,
    backupId: backup.id,
    tablespaces,
    fileCount: all.reduce((sum, { fileCount }) => sum + fileCount, 0),
    dataBytes: all.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0),
    storedBytes: plan.backup.storedBytes,
    durationMs: performance.now() - started,
    replaced,
    notes: [...replaced.slice(plan.layouts.replaced.length).map(describeReplaced), ...notes],
  };
  log.info(`restored ${formatBytes(result.dataBytes)}`, {
    backup: backup.id,
    path: dataDirectory,
    bytes: result.dataBytes,
    durationMs: Math.round(result.durationMs),
  });
  return result;
}

async function checkBeforeWriting(
  dataDirectory: string,
  options: RestoreOptions,
): Promise<TablespaceTarget[]> {
  const { plan } = options;
  const { info, id } = plan.recovery.backup;
  const major = serverMajor(info);
  if (options.serverMajor !== undefined && options.serverMajor !== major) {
    throw new EngineError(
      "postgres-missing",
      `backup "${id}" is of PostgreSQL ${major}, but the server programs are of ${options.serverMajor}`,
      { hint: `Install PostgreSQL ${major}; a data directory is only read by its own major version.` },
    );
  }
  await requireEmptyDataDirectory(dataDirectory);
  const tablespaces = tablespaceTargets(info, dataDirectory, options.tablespaceMap);
  for (const { name, directory } of tablespaces) await requireEmptyTablespaceDirectory(name, directory);
  const place = placesOf(dataDirectory, tablespaces);
  await requireDiskSpace(spaceNeeds(plan.backup.parts, place, plan.recovery.walBytes));
  return tablespaces;
}

/** Where each archive is unpacked. */
function placesOf(dataDirectory: string, tablespaces: readonly TablespaceTarget[]) {
  const byOid = new Map(tablespaces.map(({ oid, directory }) => [String(oid), directory]));
  return (archive: RestorePart["archive"]): string => byOid.get(archive) ?? dataDirectory;
}

/** Directories of tablespaces that are not part of the data directory's own tree. */
function linked(tablespaces: readonly TablespaceTarget[]): string[] {
  return tablespaces.filter(({ kind }) => kind === "link").map(({ directory }) => directory);
}

async function prepareDirectories(directories: readonly string[], owner: Owner | undefined): Promise<void> {
  for (const directory of directories) {
    try {
      await mkdir(dirname(directory), { recursive: true });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
      if (owner !== undefined) await lchown(directory, owner.uid, owner.gid);
      await syncDirectory(dirname(directory));
    } catch (error) {
      throw fileError("make the directory", directory, error);
    }
  }
}

function createWriters(
  options: RestoreOptions,
  dataDirectory: string,
  tablespaces: readonly TablespaceTarget[],
  place: (archive: RestorePart["archive"]) => string,
): Map<RestorePart["archive"], TreeWriter> {
  const { owner } = options;
  const data = new TreeWriter({ root: dataDirectory, owner, placeOf: placeInDataDirectory });
  const writers = new Map<RestorePart["archive"], TreeWriter>([["data", data]]);
  for (const { oid, kind } of tablespaces) {
    if (kind === "in-place") data.ensureDirectory(`pg_tblspc/${oid}`);
    const root = place(`${oid}`);
    writers.set(`${oid}`, new TreeWriter({ root, owner, placeOf: placeInTablespace }));
  }
  return writers;
}

/** What is not of the archive itself stays: marks, and tablespaces that lie in the data directory. */
async function clearArchive(
  archive: RestorePart["archive"],
  writers: ReadonlyMap<RestorePart["archive"], TreeWriter>,
  place: { readonly dataDirectory: string; readonly tablespaces: readonly TablespaceTarget[] },
): Promise<void> {
  const inPlace = place.tablespaces.filter(({ kind }) => kind === "in-place");
  const kept = archive === "data" ? inPlace.map(({ oid }) => join("pg_tblspc", String(oid))) : [];
  await writers.get(archive)?.takeBackAll([markerName, ...kept]);
}

function missingWriter(archive: string): never {
  throw new EngineError("internal", `archive "${archive}" has no place to go`);
}

async function linkTablespaces(
  dataDirectory: string,
  tablespaces: readonly TablespaceTarget[],
  owner: Owner | undefined,
): Promise<void> {
  for (const { oid, directory, kind } of tablespaces) {
    if (kind === "in-place") continue;
    const link = join(dataDirectory, "pg_tblspc", String(oid));
    try {
      await symlink(directory, link);
      if (owner !== undefined) await lchown(link, owner.uid, owner.gid);
    } catch (error) {
      throw fileError("make the link", link, error);
    }
  }
}

/** The last steps, each durable before the next: `marker.ts` says what a crash between them leaves. */
async function commitRestore(dataDirectory: string, tablespaces: readonly string[]): Promise<void> {
  try {
    faultPoint("restore:before-control");
    await rename(join(dataDirectory, heldControlPath), join(dataDirectory, controlPath));
    await syncDirectory(join(dataDirectory, "global"));
    faultPoint("restore:control-written");
    for (const directory of [...tablespaces, dataDirectory]) {
      await rm(join(directory, markerName), { force: true });
      await syncDirectory(directory);
    }
  } catch (error) {
    throw fileError("finish the restore in", dataDirectory, error);
  }
}

/** Adds up what was read, and reports at most ten times a second within a phase. */
function reporter({ plan, progress }: RestoreOptions) {
  const totalBytes = plan.backup.storedBytes;
  let phase: RestoreProgress["phase"] = "unpack";
  let doneBytes = 0;
  let lastAt = 0;
  return {
    addBytes: (bytes: number): void => {
      doneBytes += bytes;
      const now = performance.now();
      if (now - lastAt < 100) return;
      lastAt = now;
      progress?.({ phase, doneBytes, totalBytes });
    },
    enter: (next: RestoreProgress["phase"]): void => {
      phase = next;
      progress?.({ phase, doneBytes, totalBytes });
    },
  };
}
