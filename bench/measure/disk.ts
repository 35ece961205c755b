import { lstat, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./program.ts";

/** The sizes of all files below a directory; a file that goes away meanwhile counts nothing. */
export async function treeBytes(directory: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += (await lstat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** Forces all written data to disk, so that no contender pays for what the one before it left to be written. */
export async function settleDisk(): Promise<void> {
  await run({ program: "sync", args: [] }, { user: undefined });
}
