import { existsSync, lstatSync, opendirSync, readlinkSync, statSync, type Dirent, type Stats } from "node:fs";
import { join } from "node:path";
import { EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { isTablespaceLink, linkHidesData } from "../postgres/own-directories.ts";
import {
  isRelationDirectory,
  parseRelationFileName,
  type RelationFileName,
} from "../postgres/relation-file-name.ts";
import type { ArchiveName } from "../repository/keys.ts";
import type { EntryRule } from "./exclusions.ts";

/*
 * Walks one archive's tree. Synchronous on purpose: a directory entry costs a few microseconds that way and a hundred
 * through the thread pool, and a cluster of 10,000 tables has 30,000 files. A generator, so that nothing grows with
 * their number; who drives it lets the event loop run in between.
 */

/** A tree that becomes one archive (of several parts): the data directory, or a tablespace's directory of this version. */
export interface WalkRoot {
  readonly archive: ArchiveName;
  /** The directory to read, absolute and resolved. */
  readonly directory: string;
  /** Its own name in the archive: `.`, or `PG_15_202209061`. */
  readonly top: string;
  /** The rule for a path, which is relative to the archive's root. */
  readonly ruleFor: (path: string) => EntryRule;
  /** Absolute paths of directories below that have archives of their own. */
  readonly separate: ReadonlySet<string>;
}

export interface FileEntry {
  readonly kind: "file";
  /** In the archive, without a leading `./`. */
  readonly path: string;
  /** Where to read it. */
  readonly source: string;
  /** Set for the files of tables and indexes, whose pages have checksums. */
  readonly relation: RelationFileName | undefined;
}

export interface DirectoryEntry {
  readonly kind: "directory";
  readonly path: string;
  readonly stats: Stats;
}

export interface LinkEntry {
  readonly kind: "symlink";
  readonly path: string;
  readonly target: string;
  readonly stats: Stats;
}

export type WalkEntry = FileEntry | DirectoryEntry | LinkEntry;

/** Entries that go into the backup: each directory before what is in it, otherwise in the file system's order. */
export function* walkTree(root: WalkRoot, log: Log): Generator<WalkEntry, void, undefined> {
  const top = statsOf(root.directory);
  if (top === undefined) return;
  yield { kind: "directory", path: root.top, stats: top };
  const pending: string[] = [""];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for (const entry of walkDirectory(root, below, log)) {
      if (entry.kind === "directory") {
        const { descend, ...directory } = entry;
        if (descend !== undefined) pending.push(descend);
        yield directory;
      } else yield entry;
    }
  }
}

type Found = FileEntry | LinkEntry | (DirectoryEntry & { readonly descend: string | undefined });

/** `below` is the directory's path below the root's, empty for the root itself. */
function* walkDirectory(root: WalkRoot, below: string, log: Log): Generator<Found, void, undefined> {
  const directory = join(root.directory, below);
  const place = archivePath(root, below);
  const holdsRelations = isRelationDirectory(place);
  const unlogged = holdsRelations && place !== "global" ? unloggedRelations(directory) : undefined;
  for (const dirent of readDirectory(directory)) {
    const name = dirent.name;
    const local = below === "" ? name : `${below}/${name}`;
    const path = place === "" ? name : `${place}/${name}`;
    const source = `${directory}/${name}`;
    const rule = root.ruleFor(path);
    if (rule === "leave-out") continue;
    requireText(source, name);
    // A link to a directory counts as one: pg_wal on another disk is restored as a plain directory.
    const emptied = rule === "empty-directory" ? statSync(source, { throwIfNoEntry: false }) : undefined;
    if (emptied?.isDirectory() === true) {
      yield { kind: "directory", path, stats: emptied, descend: undefined };
    } else if (dirent.isDirectory()) {
      if (root.separate.has(source)) continue;
      const stats = statsOf(source);
      if (stats !== undefined) yield { kind: "directory", path, stats, descend: local };
    } else if (dirent.isFile()) {
      const relation = holdsRelations ? parseRelationFileName(name) : undefined;
      if (relation !== undefined && isWorthless(directory, relation, unlogged)) continue;
      yield { kind: "file", path, source, relation };
    } else if (dirent.isSymbolicLink()) {
      const link = readLink(path, source, log);
      if (link !== undefined) yield link;
    } else {
      log.debug("left out a socket, pipe or device", { path: source });
    }
  }
}

function archivePath(root: WalkRoot, below: string): string {
  if (root.top === ".") return below;
  return below === "" ? root.top : `${root.top}/${below}`;
}

/**
 * Temporary tables end with their session; unlogged ones are emptied by recovery, from their `init` fork. The walk stays
 * in a directory for as long as its files are copied, and tables are made meanwhile, so a relation that was not known to be
 * unlogged is looked at again: recovery fails over files of one whose `init` fork only comes with replay.
 */
function isWorthless(
  directory: string,
  { isTemporary, fork, relation }: RelationFileName,
  unlogged: ReadonlySet<string> | undefined,
): boolean {
  if (isTemporary) return true;
  if (fork === "init" || unlogged === undefined) return false;
  return unlogged.has(relation) || existsSync(`${directory}/${relation}_init`);
}

/** The relations of a directory that have an `init` fork. */
function unloggedRelations(directory: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { name } of readDirectory(directory)) {
    if (!name.includes("_init")) continue;
    const relation = parseRelationFileName(name);
    if (relation?.fork === "init") found.add(relation.relation);
  }
  return found;
}

function* readDirectory(directory: string): Generator<Dirent, void, undefined> {
  try {
    using handle = opendirSync(directory, { bufferSize: 1024 });
    for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) yield entry;
  } catch (error) {
    // Databases are dropped while we walk; replay drops them again.
    if (systemErrorCode(error) !== "ENOENT") throw fileError("read", directory, error);
  }
}

/** Undefined when it has vanished. */
function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fileError("read", path, error);
  }
}

function readLink(path: string, source: string, log: Log): LinkEntry | undefined {
  // Restore makes these anew, to where the tablespaces will be.
  if (isTablespaceLink(path)) return undefined;
  const stats = statsOf(source);
  if (stats === undefined) return undefined;
  if (linkHidesData(path)) throw hiddenData(source);
  try {
    if (statSync(source, { throwIfNoEntry: false })?.isDirectory() === true) {
      log.warn("a link to a directory is stored as a link: what is in the directory is not in the backup", {
        path: source,
      });
    }
    return { kind: "symlink", path, target: readlinkSync(source), stats };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", source, error);
  }
}

/**
 * PostgreSQL's own base backup leaves such links out with a warning, and the copy lacks the data. A link in the copy
 * would be worse: on the same host the copy writes into the files of its origin.
 */
function hiddenData(source: string): EngineError {
  return new EngineError(
    "backup-failed",
    `"${source}" is a link in a directory of PostgreSQL's own, and what it leads to would not be in the backup`,
    {
      hint: "PostgreSQL makes no links there. To keep part of the data on another disk, move it into a tablespace; or put the directory in the link's place, or mount the disk there.",
    },
  );
}

/** Node gives U+FFFD for bytes that are not UTF-8; opening such a name would fail and look as if it had vanished. */
function requireText(source: string, name: string): void {
  if (!name.includes("\ufffd")) return;
  throw new EngineError("backup-failed", `the name of the file "${source}" is not UTF-8`, {
    hint: "PostgreSQL makes no such files. Rename it, or move it out of the data directory.",
  });
}
