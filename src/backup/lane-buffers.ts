import { availableParallelism } from "node:os";
import { assert } from "../common/errors.ts";
import { mib } from "../common/units.ts";
import { createPageVerifier, type PageVerifier } from "../postgres/page-checksum.ts";

/** Bytes of a slot: measured, 256 KiB costs a tenth of the speed; a multiple of every page size of PostgreSQL. */
export const slotBytes = mib;

/** A buffer in the memory of a page verifier: files are read straight to where their pages are verified. */
export interface LaneSlot {
  readonly bytes: Buffer;
  readonly verifier: PageVerifier;
}

function createSlot(blockSizeBytes: number): LaneSlot {
  const verifier = createPageVerifier({ bufferBytes: slotBytes, blockSizeBytes });
  const { buffer, byteOffset, length } = verifier.buffer;
  return { bytes: Buffer.from(buffer, byteOffset, length), verifier };
}

/** One is filled while the others are compressed: one lane alone keeps so many cores busy. */
const slotCount = 1 + Math.min(availableParallelism(), 4);

interface RingSlot extends LaneSlot {
  /** Settles when the slot may be filled again. */
  writing: Promise<void>;
}

/** A ring of slots. */
export class LaneBuffers {
  readonly #ring: RingSlot[];
  #at = 0;
  #filledBytes = 0;

  constructor(blockSizeBytes: number) {
    this.#ring = Array.from({ length: slotCount }, () => ({
      ...createSlot(blockSizeBytes),
      writing: Promise.resolve(),
    }));
  }

  /** The slot being filled. */
  get slot(): LaneSlot {
    return this.#current;
  }

  get #current(): RingSlot {
    const slot = this.#ring[this.#at];
    assert(slot !== undefined, "the ring goes round");
    return slot;
  }

  get filledBytes(): number {
    return this.#filledBytes;
  }

  get roomBytes(): number {
    return slotBytes - this.#filledBytes;
  }

  /** What of the slot is not filled. */
  rest(): Buffer {
    return this.#current.bytes.subarray(this.#filledBytes);
  }

  take(bytes: number): void {
    this.#filledBytes += bytes;
  }

  /**
   * Hands what is filled to `write`, which may be busy with earlier slots still, and goes on with the next slot as soon as
   * that one is written. Throws what the write of that slot threw.
   */
  async turn(write: (bytes: Buffer) => Promise<void>): Promise<void> {
    const full = this.#current;
    const bytes = full.bytes.subarray(0, this.#filledBytes);
    full.writing = bytes.length === 0 ? Promise.resolve() : write(bytes);
    // Reported when its turn comes again, or by `settled`.
    full.writing.catch(() => undefined);
    this.#at = (this.#at + 1) % this.#ring.length;
    this.#filledBytes = 0;
    await this.#current.writing;
  }

  /** Waits until nothing is being written any more; throws what a write threw. */
  async settled(): Promise<void> {
    const writes = this.#ring.map(({ writing }) => writing);
    await Promise.allSettled(writes);
    await Promise.all(writes);
  }

  /** Forgets everything, for the next part after a failed one. Nothing may be being written. */
  reset(): void {
    this.#filledBytes = 0;
    for (const slot of this.#ring) slot.writing = Promise.resolve();
  }
}
