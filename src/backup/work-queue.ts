import { lstatSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "../common/abort.ts";
import { fileError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { mib } from "../common/units.ts";
import type { ArchiveName } from "../repository/keys.ts";
import {
  walkTree,
  type DirectoryEntry,
  type FileEntry,
  type LinkEntry,
  type WalkEntry,
  type WalkRoot,
} from "./walk.ts";

/** What the first walk learned about one archive. Its size follows the number of directories and of large files only. */
export interface ArchiveSurvey {
  readonly root: WalkRoot;
  /** All directories, parents first, then the links: everything that has no body. */
  readonly bodiless: readonly (DirectoryEntry | LinkEntry)[];
  /** Largest first. */
  readonly largeFiles: readonly SizedFile[];
  readonly fileCount: number;
  readonly totalBytes: number;
}

export interface SizedFile {
  readonly file: FileEntry;
  readonly sizeBytes: number;
}

/** From this size on a file is handed out before the others, so that no lane is left alone with one at the end. */
export const largeFileBytes = 8 * mib;

/** Entries between two turns of the event loop. */
const entriesPerTurn = 1000;

/** The first walk: counts everything and notes what must come early. */
export async function surveyArchive(
  root: WalkRoot,
  log: Log,
  signal: AbortSignal,
  largeBytes = largeFileBytes,
): Promise<ArchiveSurvey> {
  const directories: DirectoryEntry[] = [];
  const links: LinkEntry[] = [];
  const largeFiles: SizedFile[] = [];
  let fileCount = 0;
  let totalBytes = 0;
  let seen = 0;
  for (const entry of walkTree(root, log)) {
    if (entry.kind === "directory") directories.push(entry);
    else if (entry.kind === "symlink") links.push(entry);
    else {
      const sizeBytes = sizeOf(entry);
      fileCount++;
      totalBytes += sizeBytes;
      if (sizeBytes >= largeBytes) largeFiles.push({ file: entry, sizeBytes });
    }
    if (++seen % entriesPerTurn === 0) {
      await setImmediate();
      throwIfAborted(signal);
    }
  }
  largeFiles.sort((a, b) => b.sizeBytes - a.sizeBytes);
  return { root, bodiless: [...directories, ...links], largeFiles, fileCount, totalBytes };
}

function sizeOf(file: FileEntry): number {
  try {
    return lstatSync(file.source, { throwIfNoEntry: false })?.size ?? 0;
  } catch (error) {
    throw fileError("read", file.source, error);
  }
}

/** Work for one lane. The first of every archive is its preamble, which goes to the start of part 0. */
export type WorkItem =
  | {
      readonly kind: "preamble";
      readonly archive: ArchiveName;
      readonly entries: readonly (DirectoryEntry | LinkEntry)[];
    }
  | {
      readonly kind: "file";
      readonly archive: ArchiveName;
      readonly file: FileEntry;
      /** 0 for a file that was small when it was counted. */
      readonly sizeBytes: number;
    };

/**
 * Hands out the work: archive by archive, the largest first; of each the preamble, the large files, then the small ones
 * by a second walk, so that memory does not grow with their number. A file is in exactly one of the two: the walk
 * leaves out what the survey called large, whatever size it has now.
 */
export function* workItems(
  surveys: readonly ArchiveSurvey[],
  log: Log,
): Generator<WorkItem, void, undefined> {
  for (const survey of surveys.toSorted((a, b) => b.totalBytes - a.totalBytes)) {
    const { archive } = survey.root;
    yield { kind: "preamble", archive, entries: survey.bodiless };
    for (const { file, sizeBytes } of survey.largeFiles) yield { kind: "file", archive, file, sizeBytes };
    const handedOut = new Set(survey.largeFiles.map(({ file }) => file.path));
    for (const entry of walkTree(survey.root, log)) {
      if (isFile(entry) && !handedOut.has(entry.path)) {
        yield { kind: "file", archive, file: entry, sizeBytes: 0 };
      }
    }
  }
}

function isFile(entry: WalkEntry): entry is FileEntry {
  return entry.kind === "file";
}
