import { stat } from "node:fs/promises";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { makeDirectoryFor } from "../postgres/server-initialize.ts";
import { openServerLog } from "../postgres/server-log.ts";
import type { ServerUser } from "../postgres/server-process.ts";
import { chooseServerUser } from "../postgres/unprivileged-user.ts";
import type { TablespaceTarget } from "../restore/tablespaces.ts";
import { requireEmptyDataDirectory, requireEmptyTablespaceDirectory } from "../restore/target-directory.ts";

/**
 * As root: makes the directories of a restore for the server's user, and returns that user, to become; undefined when we
 * are not root. The log of a server to be started lies beside the data directory, where that user may not make files, so it
 * is made here too. A directory that holds anything is refused first: a mistyped `/etc` must not change hands. A
 * tablespace's directory that is there already does not change hands even when it is empty.
 */
export async function makeRestoreDirectory(
  dataDirectory: string,
  tablespaces: readonly TablespaceTarget[],
  withLog: boolean,
): Promise<ServerUser | undefined> {
  await requireEmptyDataDirectory(dataDirectory);
  const user = await chooseServerUser(dataDirectory);
  if (user === undefined) return undefined;
  const outside = tablespaces.filter(({ kind }) => kind === "link");
  const absent: string[] = [];
  for (const { name, directory } of outside) {
    await requireEmptyTablespaceDirectory(name, directory);
    const owner = await ownerOf(directory);
    if (owner === undefined) absent.push(directory);
    else if (owner !== user.uid) throw notTheirs(name, directory, user);
  }
  await makeDirectoryFor(user, dataDirectory);
  for (const directory of absent) {
    // One below the data directory is made with the rest of it.
    if (!directory.startsWith(`${dataDirectory}/`)) await makeDirectoryFor(user, directory);
  }
  if (withLog) await (await openServerLog(`${dataDirectory}.log`, user)).handle.close();
  return user;
}

async function ownerOf(directory: string): Promise<number | undefined> {
  try {
    return (await stat(directory)).uid;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("look at", directory, error);
  }
}

function notTheirs(name: string, directory: string, user: ServerUser): EngineError {
  return new EngineError(
    "target-directory",
    `the directory "${directory}" of tablespace "${name}" does not belong to "${user.name}", as whom PostgreSQL will run`,
    {
      hint: `If it is meant for this, give it to that user (chown ${user.name}), or name another with --tablespace ${name}=DIR.`,
    },
  );
}
