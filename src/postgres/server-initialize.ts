import { chown, mkdir, readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { writeDurableFile } from "../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { silentLog, type Log } from "../common/log.ts";
import { majorFacts } from "./majors.ts";
import type { ServerBinaries } from "./server-binaries.ts";
import { binariesReachableBy } from "./server-binaries-access.ts";
import { runProgram, type ServerUser } from "./server-process.ts";
import { giveTo, ownerOf } from "./settings-file.ts";
import { canAccess, chooseServerUser, closedDirectory, currentUserName } from "./unprivileged-user.ts";

export interface InitializeOptions {
  readonly binaries: ServerBinaries;
  /** Absent or empty. Its parents are made as needed. */
  readonly dataDirectory: string;
  /** A power of two from 1 to 1024. Default: PostgreSQL's, 16. */
  readonly walSegmentSizeMib?: number | undefined;
  /** Default true: without them a damaged page goes unnoticed into every backup. */
  readonly dataChecksums?: boolean | undefined;
  /** Default `UTF8`. */
  readonly encoding?: string | undefined;
  /** Default `C`, the one locale that every machine has and that never changes its sort order. */
  readonly locale?: string | undefined;
  /** Name of the first role. Default `postgres`. */
  readonly superuser?: string | undefined;
  /** More options for initdb, after ours. */
  readonly extraArguments?: readonly string[] | undefined;
  /** Whether the new files are forced to disk. Default true; tests go without. */
  readonly sync?: boolean | undefined;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a new cluster with `initdb`. Unix sockets authenticate by `peer`: each operating-system user as the role of the
 * same name, and root, the server's user and ourselves also as the superuser. TCP asks for a password (scram-sha-256).
 *
 * @throws EngineError `target-directory` when something is there already, `postgres-failed` with what initdb said
 * (it removes what it made), `postgres-missing`.
 */
export async function initializeCluster(options: InitializeOptions): Promise<void> {
  const { superuser = "postgres", log = silentLog, signal } = options;
  const dataDirectory = resolve(options.dataDirectory);
  await refuseUsedDirectory(dataDirectory);
  const user = await chooseServerUser(dataDirectory);
  const binaries = await binariesReachableBy(user, options.binaries);
  await makeDirectoryFor(user, dataDirectory);
  const started = performance.now();
  const { code, stdout, stderr } = await runProgram(
    join(binaries.directory, "initdb"),
    initdbArguments(options, dataDirectory, superuser),
    { user, signal },
  );
  if (code !== 0) {
    throw new EngineError(
      "postgres-failed",
      `could not make a cluster in "${dataDirectory}": ${summary(stderr || stdout)}`,
      { details: { stderr } },
    );
  }
  await writeAuthentication(dataDirectory, superuser, user);
  log.info("made a new cluster", {
    path: dataDirectory,
    version: binaries.version,
    durationMs: Math.round(performance.now() - started),
  });
}

function initdbArguments(options: InitializeOptions, dataDirectory: string, superuser: string): string[] {
  const args = [`--pgdata=${dataDirectory}`, `--username=${superuser}`];
  args.push(`--encoding=${options.encoding ?? "UTF8"}`, `--locale=${options.locale ?? "C"}`);
  // With a password method for TCP, initdb also chooses the matching password_encryption (md5 before 14 otherwise).
  args.push("--auth-local=peer", "--auth-host=scram-sha-256");
  if (options.walSegmentSizeMib !== undefined) args.push(`--wal-segsize=${options.walSegmentSizeMib}`);
  if (options.dataChecksums ?? true) args.push("--data-checksums");
  else if (majorFacts[options.binaries.major].checksumsByDefault) args.push("--no-data-checksums");
  if (options.sync === false) args.push("--no-sync");
  return [...args, ...(options.extraArguments ?? [])];
}

async function refuseUsedDirectory(dataDirectory: string): Promise<void> {
  try {
    const names = await readdir(dataDirectory);
    if (names.length === 0) return;
    throw new EngineError("target-directory", `"${dataDirectory}" is not empty: it holds "${names[0]}"`, {
      hint: "A new cluster needs an empty directory; choose another, or remove what is there if nobody needs it.",
    });
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return;
    throw fileError("read", dataDirectory, error);
  }
}

/**
 * Makes a directory of mode 0700 for the server's user (default: the one `chooseServerUser` names), with its parents.
 *
 * @throws EngineError `config` when a parent is closed to that user, naming it.
 */
export async function makeDirectoryFor(user: ServerUser | undefined, directory: string): Promise<void> {
  try {
    await mkdir(dirname(directory), { recursive: true });
    await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
      if (systemErrorCode(error) !== "EEXIST") throw error;
    });
    if (user !== undefined) await chown(directory, user.uid, user.gid);
  } catch (error) {
    throw fileError("make", directory, error);
  }
  await requireReachable(user, directory);
}

/** @throws EngineError `config` unless `user` can enter and write `directory`. */
export async function requireReachable(user: ServerUser | undefined, directory: string): Promise<void> {
  const wanted = (["x", "w"] as const).map((access) => ({ path: directory, access }));
  if (user === undefined || (await canAccess(user, wanted))) return;
  const closed = (await closedDirectory(user, directory)) ?? directory;
  throw new EngineError(
    "config",
    `PostgreSQL's user "${user.name}" cannot use "${directory}": "${closed}" is closed to it`,
    {
      hint: `PostgreSQL refuses to run as root, so it runs as "${user.name}". Choose a directory that this user can reach, for example below /var/lib, or run as an ordinary user.`,
    },
  );
}

/** The user name map that a cluster's local connections authenticate by. */
export const peerMapName = "tidemark";

/**
 * Its lines in pg_ident.conf: each operating-system user is the role of the same name, and root, the server's user
 * (`user`, when we are root) and ourselves are also the superuser.
 */
export function peerMap(superuser: string, user: ServerUser | undefined): string {
  const trusted = new Set(["root", currentUserName(), ...(user === undefined ? [] : [user.name])]);
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const lines = [...trusted].map((name) => `${peerMapName}  ${quote(name)}  ${quote(superuser)}\n`);
  return `${lines.join("")}${peerMapName}  /^(.*)$  \\1\n`;
}

const hostBasedAuthentication = `# Written by Tidemark when it made this cluster; yours to change.
# TYPE  DATABASE     USER  ADDRESS       METHOD
local   all          all                 peer map=${peerMapName}
local   replication  all                 peer map=${peerMapName}
host    all          all   127.0.0.1/32  scram-sha-256
host    all          all   ::1/128       scram-sha-256
host    replication  all   127.0.0.1/32  scram-sha-256
host    replication  all   ::1/128       scram-sha-256
`;

async function writeAuthentication(
  dataDirectory: string,
  superuser: string,
  user: ServerUser | undefined,
): Promise<void> {
  const owner = await ownerOf(dataDirectory);
  const identity = `# Written by Tidemark when it made this cluster; yours to change.
# MAP     SYSTEM-USER  ROLE
${peerMap(superuser, user)}`;
  for (const [name, text] of [
    ["pg_hba.conf", hostBasedAuthentication],
    ["pg_ident.conf", identity],
  ] as const) {
    const path = join(dataDirectory, name);
    await writeDurableFile(path, text);
    await giveTo(path, owner);
  }
}

/** The lines of initdb that say what went wrong. */
function summary(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const told = lines.filter((line) => /\b(error|fatal|FATAL|detail|hint)\b/i.test(line));
  return (told.length > 0 ? told : lines).slice(-4).join("; ");
}
