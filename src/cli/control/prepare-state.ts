import { chown, mkdir } from "node:fs/promises";
import { fileError } from "../../common/errors.ts";
import { chooseServerUser } from "../../postgres/unprivileged-user.ts";
import { become } from "../privileges.ts";

/**
 * Makes the state directory, and as root becomes the user that PostgreSQL runs as: the owner of the directory if it is
 * there, else `postgres` or `nobody`. Everything that the control plane does is done as that user.
 */
export async function prepareStateDirectory(directory: string): Promise<void> {
  const user = await chooseServerUser(directory);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (user !== undefined) await chown(directory, user.uid, user.gid);
  } catch (error) {
    throw fileError("make", directory, error);
  }
  if (user !== undefined) await become(user);
}
