import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, basename, join, resolve } from "node:path";
import { randomBytes } from "node:crypto";
import { fileError, systemErrorCode } from "./errors.ts";

/** Makes the names in a directory durable (see fsync(2): syncing a file does not sync the entry that names it). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a directory and its missing parents, durably: from the first parent that was there down, each gets its entries
 * synced. Gives the first directory that was made, or undefined when all were there. Throws what the file system threw.
 */
export async function makeDurableDirectory(path: string, mode = 0o700): Promise<string | undefined> {
  const wanted = resolve(path);
  const made = await mkdir(wanted, { recursive: true, mode });
  if (made === undefined) return undefined;
  const first = resolve(made);
  for (let at = wanted; at !== dirname(at); at = dirname(at)) {
    await syncIfReadable(dirname(at));
    if (at === first) break;
  }
  return first;
}

/** A directory that may be written into but not read cannot be opened, so not be synced either. */
async function syncIfReadable(path: string): Promise<void> {
  try {
    await syncDirectory(path);
  } catch (error) {
    if (systemErrorCode(error) !== "EACCES") throw error;
  }
}

/** A name beside `path` for a file that is not finished yet; hidden, and unique to this call. */
export function temporaryPathFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/**
 * Replaces `path` with `content`, whole or not at all, and durably: temporary file, sync, rename, sync the folder.
 * A crash leaves the old file or the new one, and at worst a hidden temporary file. `owner` is for root, who writes for
 * another user.
 */
export async function writeDurableFile(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const temporary = temporaryPathFor(path);
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(content);
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError("write", path, error);
  }
}
