import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  openSync,
  read,
  readSync,
  write,
  writeSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { promisify } from "node:util";
import { throwIfAborted } from "../../common/abort.ts";
import { fileError, systemErrorCode } from "../../common/errors.ts";
import { kib, mib } from "../../common/units.ts";
import type { ServerUser } from "../../postgres/server-process.ts";

/** Up to this size a file is copied by synchronous calls: 10 µs each, where the thread pool takes 150. */
const synchronousBytes = 256 * kib;
const chunkBytes = mib;

const readAt = promisify(read);
const writeAt = promisify(write);

/**
 * Copies files of a running server. Where the file system can share blocks between files (XFS, Btrfs) it does, and a copy takes
 * no time and no space.
 *
 * Node's own `copyFile` is used for that alone: it copies as many bytes as the file had when it began, and goes on asking for
 * them without end when the server cuts the file short meanwhile, as it does with a table that is dropped.
 */
export class FileCopier {
  readonly #user: ServerUser | undefined;
  readonly #signal: AbortSignal;
  /** Until the file system has refused once. */
  #canShare = true;

  constructor(user: ServerUser | undefined, signal: AbortSignal) {
    this.#user = user;
    this.#signal = signal;
  }

  /**
   * Copies one file to a new one and returns its size in bytes; undefined when it has vanished. It may grow or shrink
   * meanwhile: replay from the backup's start puts it right. Throws `file-io`, `disk-full`, `aborted`.
   */
  async copy(source: string, target: string): Promise<number | undefined> {
    throwIfAborted(this.#signal);
    try {
      if (this.#canShare && (await this.#share(source, target))) return 0;
      return await this.#copyBytes(source, target);
    } catch (error) {
      throw fileError("copy", source, error);
    }
  }

  /** Whatever hinders it shows again, with its reason, when the bytes are copied. */
  async #share(source: string, target: string): Promise<boolean> {
    try {
      await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT") this.#canShare = false;
      return false;
    }
    if (this.#user !== undefined) lchownSync(target, this.#user.uid, this.#user.gid);
    return true;
  }

  async #copyBytes(source: string, target: string): Promise<number | undefined> {
    const from = openSource(source);
    if (from === undefined) return undefined;
    try {
      const { size, mode } = fstatSync(from);
      const to = openSync(target, "wx", 0o600);
      try {
        fchmodSync(to, mode & 0o777);
        if (this.#user !== undefined) fchownSync(to, this.#user.uid, this.#user.gid);
        if (size <= synchronousBytes) copySmall(from, to, size);
        else await this.#copyLarge(from, to, size);
      } finally {
        closeSync(to);
      }
      return size;
    } finally {
      closeSync(from);
    }
  }

  async #copyLarge(from: number, to: number, size: number): Promise<void> {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (let position = 0; position < size;) {
      throwIfAborted(this.#signal);
      const { bytesRead } = await readAt(from, chunk, 0, Math.min(chunk.length, size - position), position);
      if (bytesRead === 0) return;
      for (let done = 0; done < bytesRead;) {
        const { bytesWritten } = await writeAt(to, chunk, done, bytesRead - done, position + done);
        done += bytesWritten;
      }
      position += bytesRead;
    }
  }
}

/** Undefined when it has vanished. */
function openSource(path: string): number | undefined {
  try {
    // Not through a link, and without waiting for the writer of a pipe, should either have taken its place.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function copySmall(from: number, to: number, size: number): void {
  const content = Buffer.allocUnsafe(size);
  let got = 0;
  while (got < size) {
    const bytes = readSync(from, content, got, size - got, got);
    if (bytes === 0) break;
    got += bytes;
  }
  for (let done = 0; done < got;) done += writeSync(to, content, done, got - done);
}
