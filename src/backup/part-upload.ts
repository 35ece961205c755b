import { assert } from "../common/errors.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { Measure } from "../codec/measure.ts";
import type { ObjectStore, ObjectUpload } from "../storage/object-store.ts";

/** Where one object goes: the same bytes to every target. */
export interface UploadTarget {
  readonly store: ObjectStore;
  readonly key: string;
}

export interface PartUploadOptions {
  readonly targets: readonly UploadTarget[];
  /** Size of every upload part but the last; every target's store must take it. */
  readonly partBytes: number;
  /** How many upload parts may be on their way while the next one is gathered. Memory: this many and one more. */
  readonly maxInFlight: number;
  readonly signal: AbortSignal;
}

export interface StoredPart {
  readonly storedBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * One stored object, written to all targets at once from chunks as they come. Content that fits one upload part goes
 * with a single `put`. Nothing is visible under the key before `finish`. One writer; calls are not to overlap.
 */
export class PartUpload {
  readonly #options: PartUploadOptions;
  readonly #measure = new Measure({ sha256: true });
  readonly #inFlight = new Set<Promise<void>>();
  #uploads: Promise<ObjectUpload[]> | undefined;
  /** The upload part being gathered. Copied into one buffer, so that memory is what it seems and stays the same. */
  #buffer: Buffer | undefined;
  #gatheredBytes = 0;
  /** Buffers that have been sent. */
  readonly #free: Buffer[] = [];
  #nextIndex = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: PartUploadOptions) {
    this.#options = options;
  }

  /** Copies the chunk. Waits while too much is on its way. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#measure.update(chunk);
    const { partBytes } = this.#options;
    for (let rest = chunk; rest.length > 0;) {
      const buffer = (this.#buffer ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(partBytes));
      const piece = rest.subarray(0, partBytes - this.#gatheredBytes);
      buffer.set(piece, this.#gatheredBytes);
      this.#gatheredBytes += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#gatheredBytes === partBytes) await this.#send();
    }
  }

  async #send(): Promise<void> {
    while (this.#inFlight.size >= this.#options.maxInFlight) await Promise.race(this.#inFlight);
    this.#throwFailure();
    const buffer = this.#buffer;
    assert(buffer !== undefined, "there is something to send");
    const sent = this.#sendPart(this.#nextIndex++, buffer.subarray(0, this.#gatheredBytes))
      .then(() => this.#free.push(buffer))
      .catch((error: unknown) => {
        // Thrown by the next write or by finish.
        this.#failure ??= { error };
      })
      .then(() => {
        this.#inFlight.delete(sent);
      });
    this.#inFlight.add(sent);
    this.#buffer = undefined;
    this.#gatheredBytes = 0;
  }

  async #sendPart(index: number, bytes: Buffer): Promise<void> {
    const { signal } = this.#options;
    this.#uploads ??= this.#start();
    const uploads = await this.#uploads;
    await everyOne(uploads, async (upload) => upload.writePart(index, [bytes], { signal }));
  }

  async #start(): Promise<ObjectUpload[]> {
    const { targets, partBytes, signal } = this.#options;
    const started: ObjectUpload[] = [];
    try {
      return await everyOne(targets, async ({ store, key }) => {
        const upload = await store.startUpload(key, { partBytes, signal });
        started.push(upload);
        return upload;
      });
    } catch (error) {
      await Promise.allSettled(started.map(async (upload) => upload.abort()));
      throw error;
    }
  }

  /** Makes the object visible in every target, durably. */
  async finish(): Promise<StoredPart> {
    const { targets, signal } = this.#options;
    const pieces = this.#buffer === undefined ? [] : [this.#buffer.subarray(0, this.#gatheredBytes)];
    if (this.#nextIndex === 0) {
      await everyOne(targets, async ({ store, key }) => store.put(key, pieces, { signal }));
    } else {
      if (this.#gatheredBytes > 0) await this.#send();
      await Promise.all(this.#inFlight);
      this.#throwFailure();
      await everyOne((await this.#uploads) ?? [], async (upload) => upload.complete({ signal }));
    }
    const { sizeBytes, sha256 } = this.#measure.result();
    assert(sha256 !== undefined, "the digest was asked for");
    return { storedBytes: sizeBytes, sha256 };
  }

  /** Drops what was sent so far; best effort, because a crash would leave the same. Never throws. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    const uploads = await this.#uploads?.catch(() => []);
    await Promise.allSettled((uploads ?? []).map(async (upload) => upload.abort()));
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

async function everyOne<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  return mapConcurrent(items, items.length, fn);
}
