import { open, rename, rm } from "node:fs/promises";
import { dirname, basename, join } from "node:path";
import { randomBytes } from "node:crypto";
import { fileError } from "./errors.ts";

/** Makes the names in a directory durable (see fsync(2): syncing a file does not sync the entry that names it). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A name beside `path` for a file that is not finished yet; hidden, and unique to this call. */
export function temporaryPathFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
}

/**
 * Replaces `path` with `content`, whole or not at all, and durably: temporary file, sync, rename, sync the folder.
 * A crash leaves the old file or the new one, and at worst a hidden temporary file.
 */
export async function writeDurableFile(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = temporaryPathFor(path);
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(content);
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
