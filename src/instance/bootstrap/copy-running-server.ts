import { lchown, realpath, symlink } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { openBackupSource, readControlFile, type BackupSource } from "../../backup/backup-source.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import { EngineError, fileError } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { formatBytes } from "../../common/units.ts";
import { startBackup, stopBackup } from "../../postgres/backup-functions.ts";
import { readServerFacts, type ServerFacts } from "../../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../../postgres/connection.ts";
import { formatTablespaceMap } from "../../postgres/tablespace-map.ts";
import { controlPath, writeTablespaceMark } from "../../restore/marker.ts";
import { syncFileSystems } from "../../restore/sync-file-systems.ts";
import { requireEmptyTablespaceDirectory } from "../../restore/target-directory.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import { removeOwnParameters } from "../configuration/write-configuration.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";
import { copyTree } from "./copy-tree.ts";
import { copyWal } from "./copy-wal.ts";
import { inDatabase } from "./superuser-session.ts";
import { tablespaceDirectory } from "./tablespace-directory.ts";

/** Of either kind: what the copy is to become makes no difference here. */
type CopyJob = BootstrapJob<"clone"> | BootstrapJob<"copy">;

/** How a copy goes on from where it was made. */
interface CopyWays {
  /** Makes the copied server keep all WAL from now on, in the session that copies. */
  readonly keepWal: (connection: SqlConnection) => Promise<void>;
  /** With the WAL of the backup the copy needs its origin no more; without, its server streams it. */
  readonly withWal: boolean;
  /** What tells its server that it is a copy. */
  readonly signalFile: "standby.signal" | "recovery.signal";
}

/** Where a tablespace of the copied server goes. */
interface CopiedTablespace {
  readonly oid: number;
  readonly name: string;
  readonly directory: string;
}

/**
 * Copies a running server of this machine, as a base backup would, into the attempt's data directory; a server that is started on it
 * replays WAL from the begin of the backup. Nothing is done to the copied one but what a base backup does.
 *
 * @throws EngineError `config` when somebody else listens there; `postgres-missing` when it is of another major;
 * `postgres-failed` when it ends, or changes in a way that a copy cannot follow; `target-directory` for tablespaces; what files
 * throw; `aborted`.
 */
export async function copyRunningServer(job: CopyJob, ways: CopyWays): Promise<void> {
  const { bootstrap, signal, onActivity } = job;
  onActivity("asking the server that is to be copied");
  await inDatabase(bootstrap, "postgres", signal, async (connection) => {
    await requireOrigin(await readServerFacts(connection), job);
    await ways.keepWal(connection);
    faultPoint("bootstrap:slot-made");
    // A server that stops gives the backup up: there is no use in copying on.
    const lost = new AbortController();
    void connection.lost.then((error) => lost.abort(error));
    await copyWithBackup(connection, { ...job, signal: AbortSignal.any([signal, lost.signal]) }, ways);
  });
}

/** Whoever listens on that port must be who was meant: a copy of another cluster would look as good. */
async function requireOrigin(facts: ServerFacts, { bootstrap, binaries }: CopyJob): Promise<void> {
  const { dataDirectory } = bootstrap;
  const [wanted, found] = await Promise.all(
    [dataDirectory, facts.dataDirectory].map(async (path) => realpath(path).catch(() => path)),
  );
  if (wanted !== found) {
    throw new EngineError(
      "config",
      `the server to copy should be on "${dataDirectory}", but the one on port ${bootstrap.port} is on "${facts.dataDirectory}"`,
    );
  }
  if (facts.major === binaries.major) return;
  throw new EngineError(
    "postgres-missing",
    `the server to copy is PostgreSQL ${facts.major}, but the server programs are of ${binaries.major}`,
  );
}

async function copyWithBackup(connection: SqlConnection, job: CopyJob, ways: CopyWays): Promise<void> {
  const { spec, attempt, binaries, clock, log, signal, onActivity } = job;
  const { major } = binaries;
  onActivity("starting a backup of the server that is to be copied");
  const label = `Tidemark copy for ${spec.name}`;
  const started = await startBackup(connection, { major, label, fast: true, signal });
  faultPoint("bootstrap:backup-started");
  const facts = await readServerFacts(connection);
  const source = await openBackupSource(connection, facts, { clock, log, signal });
  const tablespaces = await copyFiles(source, job);
  faultPoint("bootstrap:copied");
  // Behind all other files and before the backup's end, as in a base backup.
  const { bytes: control } = await readControlFile(source.dataDirectory, clock, signal);
  const stopped = await stopBackup(connection, { major, signal });
  faultPoint("bootstrap:backup-stopped");
  if (stopped.timeline !== started.timeline) throw changedMeanwhile("was promoted");
  await refuseNewTablespaces(connection, facts);
  if (ways.withWal) {
    onActivity("copying the WAL that makes the copy consistent");
    const { startLsn } = started;
    const { stopLsn, timeline } = stopped;
    const { walSegmentSizeBytes: segmentSizeBytes } = facts;
    await copyWal({ ...job, from: source.dataDirectory, startLsn, stopLsn, timeline, segmentSizeBytes });
    faultPoint("bootstrap:wal-copied");
  }

  onActivity("making the copy durable");
  const write = async (name: string, content: string | Uint8Array): Promise<void> =>
    writeDurableFile(join(attempt.data, name), content, 0o600, job.user);
  await write("backup_label", stopped.backupLabel);
  if (tablespaces.length > 0) {
    const entries = tablespaces.map(({ oid, directory }) => ({ oid, path: directory }));
    await write("tablespace_map", formatTablespaceMap(entries));
  }
  await write(ways.signalFile, "");
  await removeOwnParameters(attempt.data);
  await syncFileSystems([attempt.data, ...tablespaces.map(({ directory }) => directory)], signal);
  faultPoint("bootstrap:before-control");
  await write(controlPath, control);
}

async function copyFiles(source: BackupSource, job: CopyJob): Promise<readonly CopiedTablespace[]> {
  const { attempt, folder, user, clock, log, signal, onActivity } = job;
  const tablespaces = source.tablespaces.map(({ oid, name }) => ({
    oid,
    name,
    directory: tablespaceDirectory(folder, { oid, name }),
  }));
  await makeOwnDirectory(attempt.data, user);
  await prepareTablespaces(tablespaces, job);
  const placeOf = new Map(tablespaces.map(({ oid, directory }) => [String(oid), directory]));
  let copiedBytes = 0;
  let toldMs = clock.monotonicMs();
  const onFile = (bytes: number): void => {
    copiedBytes += bytes;
    if (clock.monotonicMs() - toldMs < 250) return;
    toldMs = clock.monotonicMs();
    onActivity(`copying the primary: ${formatBytes(copiedBytes)} so far`);
  };
  onActivity("copying the primary");
  for (const root of source.roots) {
    const target = placeOf.get(root.archive) ?? attempt.data;
    await copyTree({ root, target, user, log, signal, onFile });
  }
  await linkTablespaces(tablespaces, job);
  log.info("copied a server", { path: source.dataDirectory, bytes: copiedBytes });
  return tablespaces;
}

/** Takes the directories, which must be empty, for this attempt; noted first, so that what is in them can be removed. */
async function prepareTablespaces(
  tablespaces: readonly CopiedTablespace[],
  { attempt, folder, user }: CopyJob,
): Promise<void> {
  if (tablespaces.length === 0) return;
  await attempt.note({ tablespaces: tablespaces.map(({ directory }) => directory) });
  await makeOwnDirectory(folder.tablespaces, user);
  for (const { name, directory } of tablespaces) {
    await requireEmptyTablespaceDirectory(name, directory);
    await makeOwnDirectory(directory, user);
    await writeTablespaceMark(directory, attempt.id);
  }
}

async function linkTablespaces(
  tablespaces: readonly CopiedTablespace[],
  { attempt, user }: CopyJob,
): Promise<void> {
  for (const { oid, directory } of tablespaces) {
    const link = join(attempt.data, "pg_tblspc", String(oid));
    try {
      await symlink(directory, link);
      if (user !== undefined) await lchown(link, user.uid, user.gid);
    } catch (error) {
      throw fileError("make the link", link, error);
    }
  }
}

/** The copy would make it anew in replay: where the primary has it, into the primary's own files. */
async function refuseNewTablespaces(connection: SqlConnection, before: ServerFacts): Promise<void> {
  const known = new Set(before.tablespaces.map(({ oid }) => oid));
  const { tablespaces } = await readServerFacts(connection);
  const made = tablespaces.find(({ oid, location }) => !known.has(oid) && isAbsolute(location));
  if (made !== undefined) throw changedMeanwhile(`was given the tablespace "${made.name}"`);
}

function changedMeanwhile(what: string): EngineError {
  return new EngineError("postgres-failed", `the server ${what} while it was copied`, {
    retryable: true,
    hint: "The next attempt copies it as it is now.",
  });
}
