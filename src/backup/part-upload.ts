import { assert } from "../common/errors.ts";
import { Measure } from "../codec/measure.ts";
import { Piece, type PieceMemory } from "./piece.ts";
import type { TargetUpload } from "./target-upload.ts";

export interface PartUploadOptions {
  /** Each gets the same bytes. */
  readonly targets: readonly TargetUpload[];
  /** Size of every upload part but the last; every target's store must take it. */
  readonly partBytes: number;
  readonly memory: PieceMemory;
  /** Waits until the targets may be given so many bytes more. Throws when the backup is given up. */
  readonly pass: (upload: PartUpload, bytes: number) => Promise<void>;
}

export interface StoredPart {
  readonly storedBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * One stored object in one form, written to all targets at once from chunks as they come. Content that fits one upload part
 * goes with a single `put`. Nothing is visible under the key before `publish`. One writer; calls are not to overlap.
 */
export class PartUpload {
  readonly targets: readonly TargetUpload[];
  readonly #options: PartUploadOptions;
  readonly #measure = new Measure({ sha256: true });
  /** The upload part being gathered. Copied into one buffer, so that memory is what it seems and stays the same. */
  #buffer: Buffer | undefined;
  #gatheredBytes = 0;
  #hasSent = false;

  constructor(options: PartUploadOptions) {
    this.#options = options;
    this.targets = options.targets;
  }

  /** Whether any repository still takes part; what is written otherwise is for nobody. */
  get isWanted(): boolean {
    return this.targets.some(({ destination }) => destination.isLive);
  }

  /** Copies the chunk. Waits while too much is on its way. */
  async write(chunk: Uint8Array): Promise<void> {
    if (!this.isWanted) return;
    this.#measure.update(chunk);
    const { partBytes, memory } = this.#options;
    for (let rest = chunk; rest.length > 0;) {
      const buffer = (this.#buffer ??= memory.take(partBytes));
      const piece = rest.subarray(0, partBytes - this.#gatheredBytes);
      buffer.set(piece, this.#gatheredBytes);
      this.#gatheredBytes += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#gatheredBytes < partBytes) continue;
      await this.#options.pass(this, partBytes);
      this.#send((target, sent) => target.send(sent));
      this.#hasSent = true;
    }
  }

  /** What has been written: what every target will have. After the last chunk. */
  stored(): StoredPart {
    const { sizeBytes, sha256 } = this.#measure.result();
    assert(sha256 !== undefined, "the digest was asked for");
    return { storedBytes: sizeBytes, sha256 };
  }

  /** Makes the object visible in every target, durably. Each promise settles, and never rejects, when its target has it or failed. */
  publish(): readonly { readonly target: TargetUpload; readonly settled: Promise<void> }[] {
    if (!this.#hasSent) {
      this.#buffer ??= this.#options.memory.take(this.#options.partBytes);
      return this.#send(async (target, piece) => target.put(piece));
    }
    if (this.#gatheredBytes > 0) this.#send((target, piece) => target.send(piece));
    return this.#live.map((target) => ({ target, settled: target.complete() }));
  }

  /** Drops what was sent so far. Never throws. */
  async abort(): Promise<void> {
    await Promise.all(this.targets.map(async (target) => target.abort()));
  }

  get #live(): readonly TargetUpload[] {
    return this.targets.filter(({ destination }) => destination.isLive);
  }

  /** Hands what was gathered to every target that takes part. */
  #send<R>(
    how: (target: TargetUpload, piece: Piece) => R,
  ): readonly { readonly target: TargetUpload; readonly settled: R }[] {
    const live = this.#live;
    const buffer = this.#buffer;
    assert(buffer !== undefined, "there is something to send");
    const piece = new Piece(this.#options.memory, buffer, {
      length: this.#gatheredBytes,
      users: live.length,
    });
    this.#buffer = undefined;
    this.#gatheredBytes = 0;
    return live.map((target) => ({ target, settled: how(target, piece) }));
  }
}
