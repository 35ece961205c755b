import { stat } from "node:fs/promises";

/**
 * To whom a file or folder that is made in `directory` must be given: as root, to the directory's owner, where that is
 * somebody else. A repository belongs to the user who runs PostgreSQL; an object in it that root has written by hand would
 * be closed to the agent. Undefined when there is nothing to do.
 */
export async function ownerToBe(
  directory: string,
): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(directory);
  return uid === 0 ? undefined : { uid, gid };
}
