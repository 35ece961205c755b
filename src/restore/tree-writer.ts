import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  write,
  writevSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { assert, EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import { kib, mib } from "../common/units.ts";
import type { TarFile, TarMember } from "../codec/tar/entry.ts";
import { corruptData } from "../codec/corrupt.ts";
import { safeTarPath } from "../codec/tar/safe-path.ts";
import { removeAllBut, removeIfEmpty } from "./remove-tree.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface TreeWriterOptions {
  readonly root: string;
  /** Undefined: whoever we are. */
  readonly owner: Owner | undefined;
  /** Where a member goes instead of its own path; undefined leaves it out. Asked with safe paths. */
  readonly placeOf: (path: string, kind: TarMember["kind"]) => string | undefined;
}

/** What was made for one piece of a backup, so that it can be taken back. */
export class WrittenUnit {
  /** A file that is there already is replaced; otherwise it is damage (two members of one name). */
  readonly overwrite: boolean;
  /** Paths below the root. */
  readonly files = new Set<string>();
  /** Those that were not there before, parents first. */
  readonly directories: string[] = [];
  fileCount = 0;
  writtenBytes = 0;

  constructor(overwrite: boolean) {
    this.overwrite = overwrite;
  }
}

/**
 * Puts the members of archives into a directory tree. Symbolic links are made by `finish` only, so that while files
 * are written nothing below the root is a link, and nothing can be written through one.
 *
 * Small files are written by synchronous calls: a database has tens of thousands of them, and open, write and close take
 * 10 µs together, against 150 µs by way of the thread pool. Large files are written asynchronously, in the pieces they
 * arrive in, a few at a time.
 */
export class TreeWriter {
  readonly #options: TreeWriterOptions;
  readonly #directories = new Set<string>();
  readonly #links = new Map<string, PlannedLink>();
  fileCount = 0;
  writtenBytes = 0;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
  }

  /**
   * Writes one member, and notes in `unit` what was made for it. The body is read to its end, if anything of it is needed;
   * its chunks are the writer's from then on, and may be empty afterwards.
   */
  async add(member: TarMember, body: AsyncIterable<Uint8Array>, unit: WrittenUnit): Promise<void> {
    const safe = safeTarPath(member.path);
    if (member.kind === "hardlink" || member.kind === "special") {
      throw corruptData(
        "tar",
        `"${safe}" is a ${member.kind === "hardlink" ? "hard link" : "device"}, which no backup holds`,
      );
    }
    const path = this.#options.placeOf(safe, member.kind);
    if (path === undefined) return;
    switch (member.kind) {
      case "directory":
        this.#addDirectory(path, member.mode, unit);
        break;
      case "symlink":
        this.#links.set(path, { target: member.linkPath, unit });
        break;
      case "file":
        this.#links.delete(path);
        await this.#addFile(path, member, body, unit);
        break;
    }
  }

  /** Makes a directory and its parents, unless they are there. */
  ensureDirectory(path: string, unit?: WrittenUnit): void {
    if (path === "." || this.#directories.has(path)) return;
    this.ensureDirectory(dirname(path), unit);
    const full = join(this.#options.root, path);
    try {
      mkdirSync(full, { mode: 0o700 });
      unit?.directories.push(path);
      this.#giveAway(full);
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST" || !lstatSync(full).isDirectory()) {
        throw fileError("make the directory", full, error);
      }
    }
    this.#directories.add(path);
  }

  /** Makes the symbolic links of the archives; one whose place is taken is damage. */
  finish(): void {
    for (const [path, { target }] of this.#links) {
      this.ensureDirectory(dirname(path));
      const full = join(this.#options.root, path);
      try {
        symlinkSync(target, full);
        this.#giveAway(full);
      } catch (error) {
        throw fileError("make the link", full, error);
      }
    }
  }

  /**
   * Takes back what was made for a unit: it turned out to be damaged, and comes again from elsewhere. Nothing else may be
   * written meanwhile, because a directory that only this unit needed goes as well.
   */
  takeBack(unit: WrittenUnit): void {
    for (const [path, link] of this.#links) if (link.unit === unit) this.#links.delete(path);
    for (const path of unit.files) rmSync(join(this.#options.root, path), { force: true });
    for (const path of unit.directories.toReversed()) {
      if (removeIfEmpty(join(this.#options.root, path))) this.#directories.delete(path);
    }
    this.fileCount -= unit.fileCount;
    this.writtenBytes -= unit.writtenBytes;
  }

  /** Takes back everything but what is at `kept` (paths below the root) or below it. */
  async takeBackAll(kept: readonly string[]): Promise<void> {
    this.#links.clear();
    this.#directories.clear();
    this.fileCount = 0;
    this.writtenBytes = 0;
    await removeAllBut(this.#options.root, kept);
  }

  #addDirectory(path: string, mode: number, unit: WrittenUnit): void {
    this.ensureDirectory(path, unit);
    // The server refuses to start unless its directory is 0700 or 0750; nothing in it needs more.
    const full = join(this.#options.root, path);
    try {
      chmodSync(full, 0o700 | (mode & 0o050));
    } catch (error) {
      throw fileError("change the mode of", full, error);
    }
  }

  async #addFile(
    path: string,
    member: TarFile,
    body: AsyncIterable<Uint8Array>,
    unit: WrittenUnit,
  ): Promise<void> {
    this.ensureDirectory(dirname(path), unit);
    const full = join(this.#options.root, path);
    const create = (): number => this.#create(path, member.mode, unit);
    if (member.sizeBytes <= smallFileBytes) {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      const gatheredBytes = pieces.reduce((sum, { length }) => sum + length, 0);
      assert(gatheredBytes === member.sizeBytes, `all of "${full}" is at hand`);
      this.#writeSmall(full, create(), pieces);
    } else {
      const writtenBytes = await this.#writeLarge(full, create(), body);
      // Chunks are given back by hand; one that was given back too early would be empty here, and the file short.
      assert(writtenBytes === member.sizeBytes, `all of "${full}" was written`);
    }
    this.fileCount++;
    this.writtenBytes += member.sizeBytes;
    unit.fileCount++;
    unit.writtenBytes += member.sizeBytes;
  }

  #writeSmall(full: string, fd: number, pieces: readonly Uint8Array[]): void {
    try {
      let left = pieces.filter(({ length }) => length > 0);
      while (left.length > 0) left = unwritten(left, writevSync(fd, left));
    } catch (error) {
      throw fileError("write", full, error);
    } finally {
      closeSync(fd);
    }
    pieces.forEach(releaseChunk);
  }

  /** Returns how many bytes there were. */
  async #writeLarge(full: string, fd: number, body: AsyncIterable<Uint8Array>): Promise<number> {
    const pending = new Set<Promise<void>>();
    let failure: unknown;
    const begin = (work: Promise<void>): void => {
      const turn: Promise<void> = work
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => pending.delete(turn));
      pending.add(turn);
    };
    let offset = 0;
    let syncedTo = 0;
    try {
      for await (const piece of body) {
        const { length } = piece;
        begin(writeAll(fd, piece, offset).finally(() => releaseChunk(piece)));
        offset += length;
        if (offset - syncedTo >= syncStepBytes) {
          begin(forceToDisk(fd));
          syncedTo = offset;
        }
        if (pending.size >= writesInFlight) await Promise.race(pending);
        if (failure !== undefined) break;
      }
    } finally {
      await Promise.all(pending);
      closeSync(fd);
    }
    if (failure !== undefined) throw fileError("write", full, failure);
    return offset;
  }

  #create(path: string, mode: number, unit: WrittenUnit): number {
    const { root, owner } = this.#options;
    const full = join(root, path);
    const exclusive = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_EXCL;
    try {
      const fd = openNew(full, exclusive, unit.overwrite);
      unit.files.add(path);
      if ((mode & 0o150) !== 0) fchmodSync(fd, 0o600 | (mode & 0o750));
      if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
      return fd;
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST") throw fileError("create", full, error);
      throw new EngineError("object-corrupt", `damaged tar data: "${full}" is in the backup twice`, {
        cause: error,
        details: { isConflict: true },
      });
    }
  }

  #giveAway(full: string): void {
    const { owner } = this.#options;
    if (owner !== undefined) lchownSync(full, owner.uid, owner.gid);
  }
}

interface PlannedLink {
  readonly target: string;
  readonly unit: WrittenUnit;
}

/** Up to this size a file is gathered and written by one synchronous call. */
const smallFileBytes = 256 * kib;
/**
 * A large file is forced to disk as it is written, so that the disk works from the start: left to the one sync at the end
 * of a restore, it would first be idle and then be waited for. (That sync makes durable what is left.)
 */
const syncStepBytes = 32 * mib;
/** Of pieces of up to 1 MiB: enough to keep the next ones coming while some are written. */
const writesInFlight = 8;

function openNew(full: string, flags: number, replace: boolean): number {
  try {
    return openSync(full, flags, 0o600);
  } catch (error) {
    if (!replace || systemErrorCode(error) !== "EEXIST") throw error;
    unlinkSync(full);
    return openSync(full, flags, 0o600);
  }
}

function unwritten(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  return pieces.flatMap((piece) => {
    const taken = Math.min(skip, piece.length);
    skip -= taken;
    return taken === piece.length ? [] : [piece.subarray(taken)];
  });
}

const forceToDisk = promisify(fdatasync);

async function writeAll(fd: number, piece: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < piece.length;) {
    const start = done;
    done += await new Promise<number>((resolve, reject) => {
      write(fd, piece, start, piece.length - start, offset + start, (error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }
}
