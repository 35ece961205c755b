import { chown, mkdir, readdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EngineError, fileError, isEngineError, systemErrorCode } from "../../common/errors.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { become } from "../privileges.ts";

/**
 * Makes the state directory, and as root becomes the user that PostgreSQL runs as: the owner of the directory if it is
 * there, else `postgres` or `nobody`. Everything that the control plane does is done as that user.
 */
export async function prepareStateDirectory(directory: string): Promise<void> {
  const user = await chooseServerUser(directory);
  await makeStateDirectory(directory, user);
  if (user !== undefined) await become(user);
}

/**
 * Makes the directory for this user; undefined is ourselves. One of root's that holds anything is not given away: it may be
 * `/tmp` or somebody's home. Throws `config` for it, and `file-io`.
 */
export async function makeStateDirectory(directory: string, user: ServerUser | undefined): Promise<void> {
  try {
    // The user has to get through those above.
    await mkdir(dirname(directory), { recursive: true, mode: 0o755 });
    await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
      if (systemErrorCode(error) !== "EEXIST") throw error;
    });
    if (user === undefined || (await stat(directory)).uid === user.uid) return;
    // The root of a file system is never quite empty.
    if ((await readdir(directory)).some((name) => name !== "lost+found")) {
      throw new EngineError("config", `"${directory}" belongs to root and holds other things`, {
        hint: `Name a directory that is empty, or not there yet; everything in it will be the user ${user.name}'s.`,
      });
    }
    await chown(directory, user.uid, user.gid);
  } catch (error) {
    if (isEngineError(error)) throw error;
    throw fileError("make", directory, error);
  }
}
