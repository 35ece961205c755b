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

/** Two slots: one is filled while the other is compressed. */
export class LaneBuffers {
  #slot: LaneSlot;
  #other: LaneSlot;
  #filledBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(blockSizeBytes: number) {
    this.#slot = createSlot(blockSizeBytes);
    this.#other = createSlot(blockSizeBytes);
  }

  /** The slot being filled. */
  get slot(): LaneSlot {
    return this.#slot;
  }

  get filledBytes(): number {
    return this.#filledBytes;
  }

  get roomBytes(): number {
    return slotBytes - this.#filledBytes;
  }

  /** What of the slot is not filled. */
  rest(): Buffer {
    return this.#slot.bytes.subarray(this.#filledBytes);
  }

  take(bytes: number): void {
    this.#filledBytes += bytes;
  }

  /**
   * Hands what is filled to `write` and goes on with the other slot, as soon as that one is written. Throws what the
   * write before this one threw.
   */
  async turn(write: (bytes: Buffer) => Promise<void>): Promise<void> {
    await this.#writing;
    const bytes = this.#slot.bytes.subarray(0, this.#filledBytes);
    this.#writing = bytes.length === 0 ? Promise.resolve() : write(bytes);
    // Reported by the next turn, or by `settled`.
    this.#writing.catch(() => undefined);
    [this.#slot, this.#other] = [this.#other, this.#slot];
    this.#filledBytes = 0;
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Forgets everything, for the next part after a failed one. Nothing may be being written. */
  reset(): void {
    this.#filledBytes = 0;
    this.#writing = Promise.resolve();
  }
}
