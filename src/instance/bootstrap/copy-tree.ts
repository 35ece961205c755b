import { lchownSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { walkTree, type FileEntry, type WalkRoot } from "../../backup/walk.ts";
import { mapConcurrent } from "../../common/concurrency.ts";
import { fileError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { FileCopier } from "./copy-file.ts";

/** Enough to keep a disk busy; reads and writes wait in the thread pool. */
const lanes = 4;
/** Small files are copied without a pause: after so many the event loop gets its turn. */
const filesPerTurn = 64;

/**
 * Copies a tree of a running server, without what a base backup leaves out, into a directory that is there and empty. Throws
 * `file-io`, `disk-full`, `backup-failed` for what cannot be copied (`walk.ts`), `aborted`.
 */
export async function copyTree(options: {
  readonly root: WalkRoot;
  readonly target: string;
  readonly user: ServerUser | undefined;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told the size of each file that was copied. */
  readonly onFile: (bytes: number) => void;
}): Promise<void> {
  const { root, target, user, log, signal, onFile } = options;
  const copier = new FileCopier(user, signal);
  const copyOne = async (file: FileEntry, index: number): Promise<void> => {
    if (index % filesPerTurn === 0) await setImmediate();
    const bytes = await copier.copy(file.source, join(target, file.path));
    if (bytes === undefined) log.debug("left out a file that has vanished", { path: file.source });
    else onFile(bytes);
  };
  await mapConcurrent(filesToCopy(root, target, user, log), lanes, copyOne, signal);
}

/** Makes the directories and links on the way, so that each directory is there before its files are asked for. */
function* filesToCopy(
  root: WalkRoot,
  target: string,
  user: ServerUser | undefined,
  log: Log,
): Generator<FileEntry, void, undefined> {
  for (const entry of walkTree(root, log)) {
    if (entry.kind === "file") {
      yield entry;
      continue;
    }
    const path = join(target, entry.path);
    try {
      // The root's own directory is there.
      if (entry.kind === "symlink") symlinkSync(entry.target, path);
      else if (entry.path !== ".") mkdirSync(path, { mode: 0o700 | (entry.stats.mode & 0o050) });
      if (user !== undefined) lchownSync(path, user.uid, user.gid);
    } catch (error) {
      throw fileError("make", path, error);
    }
  }
}
