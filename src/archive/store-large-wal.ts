import { signalOption } from "../common/abort.ts";
import { Measure, measured } from "../codec/measure.ts";
import type { ObjectUpload } from "../storage/object-store.ts";
import { byteLength } from "../storage/upload-parts.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import { encodeParts } from "./encode-wal.ts";
import type { LocalWal } from "./local-wal.ts";
import type { Patience } from "./patience.ts";
import { attempt, compareTaken, storePieces, walObjectKey, type PushOutcome } from "./store-wal.ts";

/**
 * Stores a file that is too large to hold: it is read and compressed once for all `targets` (which share one form) and
 * goes out in parts, at most one part in memory, to those that keep up (`patience`). What compresses to less than a part is
 * put in one request after all.
 *
 * Nothing is visible before the last step, and that is taken only when the file did not change meanwhile; a crash leaves
 * unfinished uploads, which the collection of leftovers finds. Outcomes are in the order of the targets; that of one
 * which did not keep up is undefined.
 */
export async function storeLargeWal(
  targets: readonly ArchiveTarget[],
  local: LocalWal,
  patience: Patience,
  signal?: AbortSignal,
): Promise<{ readonly crc32: number; readonly outcomes: readonly (PushOutcome | undefined)[] }> {
  const [first] = targets;
  if (first === undefined) return { crc32: 0, outcomes: [] };
  const measure = new Measure({ crc32: true });
  const lanes = targets.map((target) => new Lane(target, local, signal));
  const partBytes = commonPartBytes(targets);
  try {
    let index = 0;
    await encodeParts(
      measured(local.chunks(), measure),
      first,
      partBytes,
      async (part, isLast) => {
        if (isLast) await local.requireUnchanged();
        const at = index++;
        const open = lanes.filter((lane) => lane.isOpen);
        await patience.together(
          open.map((lane) => ({
            done: lane.write(at, part, { isLast, partBytes }),
            leave: () => lane.leave(),
          })),
        );
      },
      signal,
    );
  } finally {
    await Promise.all(lanes.map(async (lane) => lane.abort()));
  }
  return { crc32: measure.result().crc32 ?? 0, outcomes: lanes.map(({ outcome }) => outcome) };
}

/** A size that every target takes. */
function commonPartBytes(targets: readonly ArchiveTarget[]): number {
  const capabilities = targets.map(({ repository }) => repository.store.capabilities);
  const preferred = Math.max(...capabilities.map((each) => each.preferredPartBytes));
  return Math.min(preferred, ...capabilities.map((each) => each.maxPartBytes));
}

/** One target of a large file. */
class Lane {
  outcome: PushOutcome | undefined;
  readonly #target: ArchiveTarget;
  readonly #local: LocalWal;
  readonly #left = new AbortController();
  readonly #signal: AbortSignal;
  #upload: ObjectUpload | undefined;
  #storedBytes = 0;

  constructor(target: ArchiveTarget, local: LocalWal, signal: AbortSignal | undefined) {
    this.#target = target;
    this.#local = local;
    this.#signal = signal === undefined ? this.#left.signal : AbortSignal.any([signal, this.#left.signal]);
  }

  /** Whether it takes parts. */
  get isOpen(): boolean {
    return this.outcome === undefined && !this.#left.signal.aborted;
  }

  /** Does not wait for it any more. What it sends is told to stop; how that ends is not looked at. */
  leave(): void {
    this.#left.abort();
  }

  /** False when it failed. Never throws for the store: a failure becomes this lane's outcome. */
  async write(
    index: number,
    part: readonly Uint8Array[],
    options: { readonly isLast: boolean; readonly partBytes: number },
  ): Promise<boolean> {
    const tried = await attempt(this.#target, async () => this.#write(index, part, options));
    if (this.#left.signal.aborted) return false;
    if (tried.kind === "failed" || options.isLast) this.outcome ??= tried;
    return tried.kind !== "failed";
  }

  async #write(
    index: number,
    part: readonly Uint8Array[],
    { isLast, partBytes }: { readonly isLast: boolean; readonly partBytes: number },
  ): Promise<PushOutcome> {
    const target = this.#target;
    if (index === 0 && isLast) return storePieces(target, this.#local, part, this.#signal);
    try {
      this.#upload ??= await target.repository.store.startUpload(walObjectKey(target, this.#local.file), {
        ifAbsent: true,
        partBytes,
        ...signalOption(this.#signal),
      });
      if (byteLength(part) > 0) await this.#upload.writePart(index, part, signalOption(this.#signal));
      this.#storedBytes += byteLength(part);
      if (isLast) {
        await this.#upload.complete(signalOption(this.#signal));
        this.#upload = undefined;
      }
      return { kind: "archived", repository: target.repository.name, storedBytes: this.#storedBytes };
    } catch (error) {
      const taken = await compareTaken(target, this.#local, error, this.#signal);
      this.outcome = taken;
      return taken;
    }
  }

  /**
   * Drops an upload that was not completed. Best effort: what stays is found as an abandoned upload. One that was left is
   * not waited for here either.
   */
  async abort(): Promise<void> {
    const upload = this.#upload;
    this.#upload = undefined;
    const dropped = this.#drop(upload);
    if (!this.#left.signal.aborted) await dropped;
  }

  async #drop(upload: ObjectUpload | undefined): Promise<void> {
    try {
      await upload?.abort();
    } catch (error) {
      this.#target.repository.log.debug("could not drop an unfinished upload", { error: String(error) });
    }
  }
}
