/**
 * A file that is being written and becomes visible at once under its final name.
 *
 * What a crash leaves: before the rename or link, a hidden temporary file; between link and unlink, the finished object
 * and a second, hidden name for it; after that, the object, which may still be missing after a power cut until the
 * directory is synced. Only then is it acknowledged.
 */
import type { Stats } from "node:fs";
import { link, lstat, open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { throwIfAborted } from "../../common/abort.ts";
import { EngineError, systemErrorCode } from "../../common/errors.ts";
import { mib } from "../../common/units.ts";
import type { CallOptions } from "../object-store.ts";
import type { DurableTree } from "./durable-tree.ts";
import { ownerToBe } from "./owner.ts";
import { formatTemporaryName } from "./temporary-name.ts";

/** Bytes per system call: large enough to cost nothing, small enough to notice an abort in time. */
const maxWriteBytes = 16 * mib;

/** How a finished file gets its name: `replace` renames; `exclusive` fails with EEXIST when the name is taken. */
export type Publication = "replace" | "exclusive";

export class TemporaryFile {
  readonly path: string;
  readonly #target: string;
  readonly #tree: DurableTree;
  readonly #handle: FileHandle;
  #state: "open" | "published" | "removed" = "open";
  #closed = false;
  /** After a failed sync Linux forgets the pages it could not write, and the next sync would succeed without them. */
  #syncFailure: { readonly error: unknown } | undefined;

  private constructor(path: string, target: string, tree: DurableTree, handle: FileHandle) {
    this.path = path;
    this.#target = target;
    this.#tree = tree;
    this.#handle = handle;
  }

  /** Creates the file beside `target`, making directories as needed. */
  static async create(target: string, tree: DurableTree, mode: number): Promise<TemporaryFile> {
    const directory = dirname(target);
    const path = join(directory, formatTemporaryName(basename(target), new Date()));
    for (let attempt = 1; ; attempt++) {
      try {
        return new TemporaryFile(path, target, tree, await openNew(path, mode));
      } catch (error) {
        // Made on failure only: the directory is there nearly always. It may vanish again when a concurrent delete
        // empties it, hence more than one attempt.
        if (systemErrorCode(error) !== "ENOENT" || attempt === 5) throw error;
        await tree.make(directory);
      }
    }
  }

  /** Writes pieces one after the other from byte `position`. */
  async write(pieces: readonly Uint8Array[], position: number, options: CallOptions = {}): Promise<void> {
    let at = position;
    for (const batch of batches(pieces)) {
      let rest = batch;
      while (rest.length > 0) {
        throwIfAborted(options.signal);
        const { bytesWritten } = await this.#handle.writev(rest, at);
        at += bytesWritten;
        rest = dropBytes(rest, bytesWritten);
      }
    }
  }

  /** Starts writing to the disk what was written so far, so that the final sync has less to wait for. */
  async syncData(): Promise<void> {
    await this.#sync(async () => this.#handle.datasync());
  }

  async #sync(sync: () => Promise<void>): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure.error;
    try {
      await sync();
    } catch (error) {
      this.#syncFailure = { error };
      throw error;
    }
  }

  /**
   * Syncs the content, gives it its name, syncs the directory. Repeating it after success only syncs the directory
   * again. Throws what the file system threw (EEXIST for a taken name).
   */
  async publish(publication: Publication): Promise<Stats> {
    if (this.#state === "removed")
      throw new EngineError("internal", `"${this.path}" was removed before it was finished`);
    if (this.#state === "open") {
      await this.#sync(async () => this.#handle.sync());
      if (publication === "replace") await rename(this.path, this.#target);
      else await this.#linkAsTarget();
      this.#state = "published";
    }
    await rm(this.path, { force: true });
    await this.#tree.sync(dirname(this.#target));
    return this.#handle.stat();
  }

  async #linkAsTarget(): Promise<void> {
    try {
      await link(this.path, this.#target);
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST" || !(await this.#isTarget())) throw error;
    }
  }

  /** Whether the final name already leads to this very file (a repeated publication on a network file system). */
  async #isTarget(): Promise<boolean> {
    const [ours, theirs] = await Promise.all([
      this.#handle.stat({ bigint: true }),
      lstat(this.#target, { bigint: true }),
    ]);
    return ours.ino === theirs.ino && ours.dev === theirs.dev;
  }

  /** Closes the file, and removes it unless it was published. Safe to repeat. */
  async dispose(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      await this.#handle.close();
    }
    if (this.#state === "open") {
      await rm(this.path, { force: true });
      this.#state = "removed";
    }
  }
}

async function openNew(path: string, mode: number): Promise<FileHandle> {
  const handle = await open(path, "wx", mode);
  try {
    const owner = await ownerToBe(dirname(path));
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Groups pieces into batches of at most `maxWriteBytes`, cutting larger pieces; copies nothing. */
function* batches(pieces: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let size = 0;
  for (const piece of pieces) {
    for (let start = 0; start < piece.length;) {
      const slice = piece.subarray(start, start + maxWriteBytes - size);
      batch.push(slice);
      size += slice.length;
      start += slice.length;
      if (size === maxWriteBytes) {
        yield batch;
        batch = [];
        size = 0;
      }
    }
  }
  if (batch.length > 0) yield batch;
}

function dropBytes(pieces: Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  let whole = 0;
  for (const piece of pieces) {
    if (piece.length > left) break;
    left -= piece.length;
    whole++;
  }
  const rest = pieces.slice(whole);
  const first = rest[0];
  if (first !== undefined && left > 0) rest[0] = first.subarray(left);
  return rest;
}
