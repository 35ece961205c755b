import {
  access,
  chmod,
  chown,
  lchown,
  readdir,
  rename,
  rm,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeDurableDirectory, temporaryPathFor } from "../common/durable-file.ts";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { formatSystemIdentifier, type SystemIdentifier } from "../postgres/system-identifier.ts";

/** The user PostgreSQL runs as, when the agent is root. */
export interface SpoolOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The folder through which the agent and PostgreSQL's shell commands talk, one per PostgreSQL system:
 *
 *     ack/NAME       this WAL file is archived as the policy asks (`ack.ts`); older than this
 *     since/NAME     the acknowledged file is newer than this
 *     refused/NAME   why it is not; the waiting script prints it
 *     want/NAME      a script waits for this file
 *     owed/NAME      acknowledged, but some repositories are still without it (`owed-book.ts`)
 *     heal/          files on their way from one repository to another; emptied at the start
 *     archive.sh     the waiting script
 *     agent.pid      the agent's process number, touched every second while it lives
 *     agent.json     how to reach it and what it archives
 *     agent.sock     its socket
 *
 * Everything is a cache but `owed/`: deleting the folder costs repeated uploads, which find the same content. Beside it,
 * in the spool directory, `claimed/` says which repositories were begun (`claim-note.ts`).
 */
export interface Spool {
  readonly root: string;
  readonly ack: string;
  readonly since: string;
  readonly refused: string;
  readonly want: string;
  readonly owed: string;
  readonly heal: string;
  readonly archiveScript: string;
  readonly pidFile: string;
  readonly stateFile: string;
  readonly owner: SpoolOwner | undefined;
}

/** Where the spool of a system lies; `archiveCommandLine` takes its root. */
export function spoolRootOf(spoolDirectory: string, identifier: SystemIdentifier): string {
  return join(resolve(spoolDirectory), formatSystemIdentifier(identifier));
}

export function spoolAt(root: string, owner?: SpoolOwner): Spool {
  return {
    root,
    ack: join(root, "ack"),
    since: join(root, "since"),
    refused: join(root, "refused"),
    want: join(root, "want"),
    owed: join(root, "owed"),
    heal: join(root, "heal"),
    archiveScript: join(root, "archive.sh"),
    pidFile: join(root, "agent.pid"),
    stateFile: join(root, "agent.json"),
    owner,
  };
}

/** Makes folders that only their owner can enter, durably: `owed/` is no cache. Existing ones are fine. */
export async function makePrivateFolders(
  folders: readonly string[],
  owner: SpoolOwner | undefined,
): Promise<void> {
  for (const folder of folders) {
    try {
      const made = await makeDurableDirectory(folder);
      if (owner === undefined) continue;
      await chown(folder, owner.uid, owner.gid);
      // Parents that were made on the way must let the owner through.
      if (made !== undefined && made !== resolve(folder)) await chmod(made, 0o711);
    } catch (error) {
      throw fileError("make the folder", folder, error);
    }
  }
}

/** Writes a small file that appears whole; not synced, because a crash makes it worthless anyway. */
export async function writeSpoolFile(
  path: string,
  content: string,
  options: { readonly owner: SpoolOwner | undefined; readonly mtime?: Date },
): Promise<void> {
  const temporary = temporaryPathFor(path);
  try {
    await writeFile(temporary, content, { mode: 0o600, flag: "wx" });
    if (options.owner !== undefined) await lchown(temporary, options.owner.uid, options.owner.gid);
    if (options.mtime !== undefined) await utimes(temporary, options.mtime, options.mtime);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError("write", path, error);
  }
}

/** Removes a file that may be gone already. (`rm` with `force` looks at it first, which doubles the calls.) */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw fileError("remove", path, error);
  }
}

/** Whether something is there; whatever hinders looking counts as no. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** The names in a folder, without hidden ones; none when there is no folder. */
export async function spoolNames(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith("."));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", folder, error);
  }
}

/** Removes what a killed process left unfinished in a folder of ours. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(".") && name.endsWith(".tmp")) await rm(join(folder, name), { force: true });
  }
}
