import { rmdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";

/** Removes a directory, unless something is in it; returns whether it is gone. Throws `file-io`. */
export function removeIfEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT") return true;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw fileError("remove", directory, error);
  }
}

/** Empties a directory but for what is at one of the paths below it, and the directories that lead there. Throws `file-io`. */
export async function removeAllBut(directory: string, kept: readonly string[]): Promise<void> {
  const remove = async (below: string): Promise<void> => {
    for (const name of await readdir(join(directory, below))) {
      const path = join(below, name);
      if (kept.includes(path)) continue;
      if (kept.some((each) => each.startsWith(`${path}/`))) await remove(path);
      else await rm(join(directory, path), { recursive: true, force: true });
    }
  };
  try {
    await remove("");
  } catch (error) {
    throw fileError("empty", directory, error);
  }
}
