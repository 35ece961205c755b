import { readdir } from "node:fs/promises";
import { systemErrorCode } from "../common/errors.ts";

/** The names in a folder; none where there is no folder. Throws what else the file system throws. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || systemErrorCode(error) === "ENOTDIR") return [];
    throw error;
  }
}
