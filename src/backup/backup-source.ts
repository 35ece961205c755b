import { lstat, readFile, realpath } from "node:fs/promises";
import { isAbsolute, join, resolve, sep } from "node:path";
import type { Clock } from "../common/clock.ts";
import { EngineError, fileError, isEngineError, systemErrorCode } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { ServerFacts, Tablespace } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import { parseControlFile, type ControlFile } from "../postgres/control-file.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { majorFacts } from "../postgres/majors.ts";
import type { TablespaceEntry } from "../repository/backup-info.ts";
import { controlFilePath, dataEntryRule, tablespaceEntryRule } from "./exclusions.ts";
import type { WalkRoot } from "./walk.ts";

/** Everything of a server that a backup reads, resolved to real places. */
export interface BackupSource {
  /** The data directory, links resolved. */
  readonly dataDirectory: string;
  readonly control: ControlFile;
  readonly roots: readonly WalkRoot[];
  /** What `backup.info` says: those with an archive of their own. */
  readonly tablespaces: readonly TablespaceEntry[];
  /** Configuration files outside the data directory: they go to its top. */
  readonly outsideFiles: readonly OutsideFile[];
}

export interface OutsideFile {
  /** Base name, as stored. */
  readonly name: string;
  /** Links resolved. */
  readonly source: string;
}

/**
 * Makes sure that the server's files are here, before anything is begun.
 *
 * @throws EngineError `config` when they are not, `file-io` when they cannot be read.
 */
export async function requireFilesHere(
  connection: SqlConnection,
  facts: ServerFacts,
  deps: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  await requireSameServer(connection, facts, await realDirectory(facts.dataDirectory), deps);
}

/**
 * Finds everything that a backup reads. To be called with facts that were read after the backup's start: the WAL that a
 * restore replays tells only of tablespaces made later.
 *
 * @throws EngineError as `requireFilesHere`.
 */
export async function openBackupSource(
  connection: SqlConnection,
  facts: ServerFacts,
  deps: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<BackupSource> {
  const dataDirectory = await realDirectory(facts.dataDirectory);
  const control = await requireSameServer(connection, facts, dataDirectory, deps);
  const outsideFiles = await findOutsideFiles(facts, dataDirectory, deps.log);
  const linked = facts.tablespaces.filter(({ location }) => isAbsolute(location));
  const tablespaceRoots = await Promise.all(
    linked.map(async (tablespace) => tablespaceRoot(tablespace, facts)),
  );
  const separate = new Set(tablespaceRoots.map(({ location }) => location));
  const replaced = new Set(outsideFiles.map(({ name }) => name));
  const data: WalkRoot = {
    archive: "data",
    directory: dataDirectory,
    top: ".",
    // The file from outside comes last under this name, and may not be written through a link of that name.
    ruleFor: (path) => (replaced.has(path) ? "leave-out" : dataEntryRule(path)),
    separate,
  };
  return {
    dataDirectory,
    control,
    roots: [data, ...tablespaceRoots.map(({ root }) => root)],
    tablespaces: linked.map(({ oid, name, location }) => ({ oid, name, location })),
    outsideFiles,
  };
}

async function realDirectory(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    if (systemErrorCode(cause) !== "ENOENT") throw fileError("read", path, cause);
    throw notHere(path, "there is no such directory here", cause);
  }
}

function notHere(path: string, reason: string, cause?: unknown): EngineError {
  return new EngineError("config", `could not find the server's data directory "${path}": ${reason}`, {
    cause,
    hint: "A backup reads the files themselves: run it on the server's host (or in its container, or with its volume mounted at the same path).",
  });
}

/**
 * Reads a tablespace of this version only: after pg_upgrade the directory may hold those of others. A tablespace in
 * place (`allow_in_place_tablespaces`) is a plain directory of the data directory and is stored as that.
 */
async function tablespaceRoot(
  tablespace: Tablespace,
  facts: ServerFacts,
): Promise<{ readonly root: WalkRoot; readonly location: string }> {
  const location = await realDirectory(tablespace.location);
  const top = `PG_${facts.major}_${majorFacts[facts.major].catalogVersion}`;
  const root: WalkRoot = {
    archive: `${tablespace.oid}`,
    directory: join(location, top),
    top,
    ruleFor: tablespaceEntryRule,
    separate: new Set(),
  };
  return { root, location };
}

const attempts = 20;

/**
 * Makes sure that the directory is the one this server works in, and no standby's or stale copy under the same path on
 * another host: its control file must be what the server says of its own. Both change now and then, hence the attempts.
 */
async function requireSameServer(
  connection: SqlConnection,
  facts: ServerFacts,
  dataDirectory: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ControlFile> {
  let seen = "";
  for (let attempt = 0; attempt < attempts; attempt++) {
    const local = await readControlFile(dataDirectory, clock, signal);
    const [row] = await connection.query<{ lsn: string; modified: string; system: string }>(
      `SELECT checkpoint_lsn::text AS lsn, extract(epoch FROM pg_control_last_modified)::bigint::text AS modified,
              system_identifier::text AS system
         FROM pg_control_checkpoint(), pg_control_system()`,
    );
    const here = `${local.control.systemIdentifier} ${formatLsn(local.control.checkpointLsn)} ${local.control.modifiedAt.getTime() / 1000}`;
    if (row !== undefined && here === `${row.system} ${row.lsn} ${row.modified}`) return local.control;
    seen = `its control file says ${here}, but the server's says ${row?.system} ${row?.lsn} ${row?.modified}`;
    if (row?.system !== String(local.control.systemIdentifier)) break;
    await clock.sleep(100, signal);
  }
  throw notHere(facts.dataDirectory, `the directory here is another one (${seen})`);
}

/** Reads `global/pg_control` until its checksum is right: PostgreSQL rewrites it in place. */
export async function readControlFile(
  dataDirectory: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly control: ControlFile }> {
  const path = join(dataDirectory, controlFilePath);
  for (let attempt = 1; ; attempt++) {
    try {
      const bytes = await readFile(path);
      return { bytes, control: parseControlFile(bytes, path) };
    } catch (error) {
      if (!isEngineError(error, "postgres-format") || attempt === attempts) {
        throw systemErrorCode(error) === "ENOENT"
          ? notHere(dataDirectory, "it has no control file", error)
          : fileError("read", path, error);
      }
      await clock.sleep(10, signal);
    }
  }
}

async function findOutsideFiles(
  facts: ServerFacts,
  dataDirectory: string,
  log: Log,
): Promise<readonly OutsideFile[]> {
  const inside = (path: string) =>
    path.startsWith(`${dataDirectory}${sep}`) || path.startsWith(`${facts.dataDirectory}${sep}`);
  for (const path of facts.includedFiles) {
    if (!inside(resolve(facts.dataDirectory, path))) {
      log.warn("a configuration file outside the data directory is not in the backup", { path });
    }
  }
  const found: OutsideFile[] = [];
  // Which file stands in the archive for a name in its root.
  const taken = new Map<string, string>();
  for (const path of [facts.configFile, facts.hbaFile, facts.identFile]) {
    if (path === "") continue;
    const source = await resolveFile(path);
    const name = path.slice(path.lastIndexOf("/") + 1);
    // A link in the data directory to a file elsewhere would lead a restored server out of its own directory.
    const isInside = inside(path) && (source === undefined || inside(source));
    if (!isInside && source === undefined) {
      if (path !== facts.identFile) throw fileError("read", path, { code: "ENOENT" });
      continue;
    }
    // Of those inside only one directly in the data directory can be in the way.
    if (isInside && path !== join(facts.dataDirectory, name)) continue;
    const other = taken.get(name);
    if (other !== undefined && other !== path) throw sameName(name, other, path);
    taken.set(name, path);
    if (!isInside && source !== undefined && other === undefined) found.push({ name, source });
  }
  return found;
}

function sameName(name: string, one: string, other: string): EngineError {
  return new EngineError(
    "backup-failed",
    `the server's configuration files "${one}" and "${other}" cannot both be stored as "${name}"`,
    {
      hint: "Configuration from outside the data directory is stored by its name alone: rename one of the two.",
    },
  );
}

async function resolveFile(path: string): Promise<string | undefined> {
  try {
    const source = await realpath(path);
    return (await lstat(source)).isFile() ? source : undefined;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}
