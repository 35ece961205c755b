import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import type { ManifestText } from "../manifest/manifest-object.ts";

/** What standard input is called in messages. */
const standardInput = "-";

/**
 * Reads manifests as `-f` names them: files, directories (all .yaml, .yml and .json files in them and below, by name), `-`
 * for standard input. What is named twice is read once.
 *
 * @throws EngineError `usage` when there is nothing to read, `file-io`.
 */
export async function readManifestFiles(paths: readonly string[]): Promise<readonly ManifestText[]> {
  if (paths.length === 0) {
    throw new EngineError("usage", "no manifests were named", {
      hint: "Give files or directories with -f, or - for standard input.",
    });
  }
  const texts: ManifestText[] = [];
  const seen = new Set<string>();
  const isNew = (id: string): boolean => seen.size !== seen.add(id).size;
  for (const path of paths) {
    if (path === standardInput) {
      if (isNew(path)) texts.push({ path, text: await text(process.stdin) });
      continue;
    }
    const files = await filesAt(path);
    if (files.length === 0) {
      throw new EngineError("usage", `"${path}" holds no manifests`, {
        hint: "Files that end in .yaml, .yml or .json are read.",
      });
    }
    for (const file of files) {
      if (isNew(resolve(file))) texts.push({ path: file, text: await readText(file) });
    }
  }
  return texts;
}

async function filesAt(path: string): Promise<readonly string[]> {
  try {
    const stats = await stat(path);
    if (!stats.isDirectory()) return [path];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return (
      entries
        // Mounted volumes are full of links.
        .filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/i.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name))
        .toSorted()
    );
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      throw new EngineError("usage", `"${path}" does not exist`, { cause: error });
    }
    throw fileError("read", path, error);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw fileError("read", file, error);
  }
}
