/**
 * Listing a directory tree as a bucket is listed: ascending by the bytes of the whole key, one directory in memory at a
 * time. Within a directory, a file sorts as its name and a subdirectory as its name with a slash, because that is how
 * the keys below it begin: `a.b` < `a/x` < `a0`.
 */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../../common/abort.ts";
import { systemErrorCode } from "../../common/errors.ts";
import { compareKeys, isObjectKey } from "../object-key.ts";
import type { AbandonedUpload, CallOptions, ListEntry, ObjectInfo } from "../object-store.ts";
import { isReservedName, parseTemporaryName } from "./temporary-name.ts";

export interface FileListOptions extends CallOptions {
  readonly delimiter?: "/";
  readonly startAfter?: string;
}

interface Child {
  readonly name: string;
  /** The key, or for a directory the common start of the keys below it, with its slash. */
  readonly key: string;
  readonly isDirectory: boolean;
}

/** How many files are asked for their size at the same time. */
const statBatch = 32;

export async function* listFiles(
  root: string,
  prefix: string,
  options: FileListOptions,
): AsyncGenerator<ListEntry> {
  const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  yield* walk(root, folder, prefix, options);
}

async function* walk(
  root: string,
  folder: string,
  prefix: string,
  options: FileListOptions,
): AsyncGenerator<ListEntry> {
  const children = (await childrenOf(root, folder, isListedName, options.signal)).filter(
    (child) => child.key.startsWith(prefix) && !endsBefore(child, options.startAfter),
  );
  for (let at = 0; at < children.length;) {
    const child = children[at];
    if (child?.isDirectory === true) {
      if (options.delimiter === undefined) yield* walk(root, child.key, prefix, options);
      else if (await holdsObject(root, child.key, options)) yield { kind: "prefix", prefix: child.key };
      at++;
      continue;
    }
    const files = filesFrom(children, at);
    for (const info of await Promise.all(files.map(async (file) => statObject(root, file.key)))) {
      if (info !== undefined) yield { kind: "object", ...info };
    }
    at += files.length;
  }
}

/** The run of files from index `start`, at most a batch. */
function filesFrom(children: readonly Child[], start: number): readonly Child[] {
  let end = start;
  while (end < children.length && end - start < statBatch && children[end]?.isDirectory === false) end++;
  return children.slice(start, end);
}

async function holdsObject(root: string, folder: string, options: FileListOptions): Promise<boolean> {
  const { delimiter: _, ...rest } = options;
  for await (const _entry of walk(root, folder, folder, rest)) return true;
  return false;
}

/** Whether the child, and for a directory everything below it, lies at or before `startAfter`. */
function endsBefore(child: Child, startAfter: string | undefined): boolean {
  if (startAfter === undefined) return false;
  if (child.isDirectory && startAfter.startsWith(child.key)) return false;
  return compareKeys(child.key, startAfter) <= 0;
}

/** Unfinished files below `prefix`, in no particular order. */
export async function* listTemporaries(
  root: string,
  prefix: string,
  options: CallOptions,
): AsyncGenerator<AbandonedUpload> {
  const folders = [prefix.slice(0, prefix.lastIndexOf("/") + 1)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const child of await childrenOf(root, folder, () => true, options.signal)) {
      if (child.isDirectory) {
        if (child.key.startsWith(prefix) || prefix.startsWith(child.key)) folders.push(child.key);
        continue;
      }
      const temporary = parseTemporaryName(child.name);
      if (temporary === undefined || !(folder + temporary.finalName).startsWith(prefix)) continue;
      yield { key: folder + temporary.finalName, uploadId: child.name, startedAt: temporary.startedAt };
    }
  }
}

/** Facts about a regular file, or undefined when there is none under this name (directories and links are no objects). */
export async function statObject(root: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    const stats = await lstat(join(root, key));
    return stats.isFile() ? objectInfo(key, stats) : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

export function objectInfo(key: string, stats: Stats): ObjectInfo {
  return {
    key,
    sizeBytes: stats.size,
    modifiedAt: stats.mtime,
    // Replacing an object always makes a new file, so the inode and its change time tell versions apart.
    etag: `${stats.ino.toString(16)}-${stats.ctimeMs.toString(16)}`,
  };
}

/** Whether a failed call says "there is nothing under this name". */
export function isAbsent(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

async function childrenOf(
  root: string,
  folder: string,
  wanted: (name: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<Child[]> {
  throwIfAborted(signal);
  let entries: Dirent[];
  try {
    entries = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    // A directory that vanished meanwhile holds nothing; the caller looks at the root itself.
    if (isAbsent(error)) return [];
    throw error;
  }
  return entries
    .filter((entry) => (entry.isFile() || entry.isDirectory()) && wanted(entry.name))
    .map((entry) => ({
      name: entry.name,
      key: folder + entry.name + (entry.isDirectory() ? "/" : ""),
      isDirectory: entry.isDirectory(),
    }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

function isListedName(name: string): boolean {
  return !isReservedName(name) && isObjectKey(name);
}
