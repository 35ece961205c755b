import { lstat, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { makeDurableDirectory, syncDirectory, writeDurableFile } from "../../common/durable-file.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { giveTo } from "../../postgres/settings-file.ts";

/*
 * Files and directories of an instance's folder: closed to others, and written durably. `user` is whom they shall belong to
 * when we are root. All throw `file-io` and `disk-full`.
 */

/** Makes a directory that only its owner can enter; one that is there is fine. */
export async function makeOwnDirectory(path: string, user: ServerUser | undefined): Promise<void> {
  try {
    await makeDurableDirectory(path);
  } catch (error) {
    throw fileError("make the directory", path, error);
  }
  if (user !== undefined) await giveTo(path, user);
}

/** Replaces a file, with mode 0600, unless it holds just this. Returns whether it did. */
export async function writeIfChanged(
  path: string,
  content: string,
  user: ServerUser | undefined,
): Promise<boolean> {
  if (await isAsWanted(path, content, user)) return false;
  await writeDurableFile(path, content, 0o600, user);
  return true;
}

async function isAsWanted(path: string, content: string, user: ServerUser | undefined): Promise<boolean> {
  try {
    const { mode, uid } = await stat(path);
    if ((mode & 0o777) !== 0o600 || (user !== undefined && uid !== user.uid)) return false;
    return (await readFile(path, "utf8")) === content;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw fileError("read", path, error);
  }
}

/** Removes a file; one that is not there is fine. */
export async function removeFile(path: string): Promise<void> {
  if (!(await exists(path))) return;
  try {
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  } catch (error) {
    throw fileError("remove", path, error);
  }
}

/** Whether anything is there under this name, a link to nothing included. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return false;
    throw fileError("look at", path, error);
  }
}
