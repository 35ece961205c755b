import { lstat, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { syncDirectory } from "../common/durable-file.ts";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { controlPath, isUnfinishedMarker, markerName, readMarker, readTablespaceMark } from "./marker.ts";

/**
 * Throws `target-directory` unless the data directory is absent or empty. What a killed restore left is named as such:
 * `cleanUnfinishedRestore` removes it.
 */
export async function requireEmptyDataDirectory(dataDirectory: string): Promise<void> {
  const names = await namesIn(dataDirectory);
  if (names.every(isUnfinishedMarker)) return;
  const marker = names.includes(markerName) ? await readMarker(dataDirectory) : undefined;
  if (marker === undefined) {
    throw new EngineError(
      "target-directory",
      `"${dataDirectory}" is not empty: it holds ${listSome(names)}`,
      {
        hint: "Restore into another directory, or move away what is there.",
        details: { names: names.slice(0, 20) },
      },
    );
  }
  if (await exists(join(dataDirectory, controlPath))) throw finishedButMarked(dataDirectory, marker.backup);
  throw new EngineError(
    "target-directory",
    `"${dataDirectory}" holds an unfinished restore of backup "${marker.backup}", begun at ${marker.startedAt}`,
    {
      hint: "It cannot be started. Run the restore again with --clean to remove it first.",
      details: { unfinishedRestore: true, backup: marker.backup },
    },
  );
}

/** The same for the directory of a tablespace. */
export async function requireEmptyTablespaceDirectory(name: string, directory: string): Promise<void> {
  const names = await namesIn(directory);
  if (names.every(isUnfinishedMarker)) return;
  throw new EngineError(
    "target-directory",
    `the directory "${directory}" of tablespace "${name}" is not empty: it holds ${listSome(names)}`,
    { hint: `Give the tablespace another directory with --tablespace ${name}=DIR.` },
  );
}

function finishedButMarked(dataDirectory: string, backup: string): EngineError {
  return new EngineError(
    "target-directory",
    `"${dataDirectory}" holds a finished restore of backup "${backup}", interrupted as it removed its mark`,
    {
      hint: `It is whole and may have been started since, so it is not cleaned. Remove "${join(dataDirectory, markerName)}" to keep it, or the whole directory if nobody needs it.`,
      details: { unfinishedRestore: false },
    },
  );
}

/**
 * Empties a directory in which a restore was left unfinished, and the tablespaces' directories it was filling; the
 * directories themselves stay. Safe to repeat: the marker goes last. Returns whether there was anything to clean.
 * Throws `target-directory` when the directory holds anything but an unfinished restore.
 */
export async function cleanUnfinishedRestore(directory: string): Promise<boolean> {
  const dataDirectory = resolve(directory);
  const names = await namesIn(dataDirectory);
  if (names.length === 0) return false;
  if (names.every(isUnfinishedMarker)) {
    for (const name of names) await remove(join(dataDirectory, name));
    await syncDirectory(dataDirectory);
    return true;
  }
  const marker = await readMarker(dataDirectory);
  if (marker === undefined) {
    throw new EngineError("target-directory", `"${dataDirectory}" does not hold an unfinished restore`, {
      hint: `It holds ${listSome(names)}. Tidemark removes only what it has put there itself.`,
    });
  }
  if (await exists(join(dataDirectory, controlPath))) throw finishedButMarked(dataDirectory, marker.backup);
  for (const tablespace of marker.tablespaceDirectories) {
    // Never reached by this restore, so that another one, or a live server, may have moved in since.
    if ((await readTablespaceMark(tablespace)) !== marker.restoreId) continue;
    // A tablespace's archive holds nothing but this; whatever else is there by now came from somebody else.
    const ours = (await namesIn(tablespace)).filter((name) => /^PG_\d+_\d+$/.test(name));
    for (const name of [...ours, markerName]) await remove(join(tablespace, name));
  }
  for (const name of names) {
    if (name !== markerName) await remove(join(dataDirectory, name));
  }
  await remove(join(dataDirectory, markerName));
  await syncDirectory(dataDirectory);
  return true;
}

/** Names in a directory; none when it does not exist. A mount point's `lost+found` does not count. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name !== "lost+found").toSorted();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    if (systemErrorCode(error) === "ENOTDIR") {
      throw new EngineError("target-directory", `"${directory}" is not a directory`, { cause: error });
    }
    throw fileError("read", directory, error);
  }
}

function listSome(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `"${name}"`);
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw fileError("look at", path, error);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    throw fileError("remove", path, error);
  }
}
