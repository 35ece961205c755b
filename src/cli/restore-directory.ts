import { makeDirectoryFor } from "../postgres/server-initialize.ts";
import { openServerLog } from "../postgres/server-log.ts";
import type { ServerUser } from "../postgres/server-process.ts";
import { chooseServerUser } from "../postgres/unprivileged-user.ts";
import { requireEmptyDataDirectory } from "../restore/target-directory.ts";

/**
 * As root: makes the directory of a restore for the server's user, and returns that user, to become; undefined when we are
 * not root. The log of a server to be started lies beside the directory, where that user may not make files, so it is
 * made here too. A directory that holds anything is refused first: a mistyped `/etc` must not change hands.
 */
export async function makeRestoreDirectory(
  dataDirectory: string,
  withLog: boolean,
): Promise<ServerUser | undefined> {
  await requireEmptyDataDirectory(dataDirectory);
  const user = await chooseServerUser(dataDirectory);
  if (user === undefined) return undefined;
  await makeDirectoryFor(user, dataDirectory);
  if (withLog) await (await openServerLog(`${dataDirectory}.log`, user)).handle.close();
  return user;
}
