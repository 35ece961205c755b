import { releaseChunk } from "../common/release-chunk.ts";
import { truncatedData } from "./corrupt.ts";

const nothing = new Uint8Array(0);

export interface ByteSourceOptions {
  /**
   * Whether the chunks are ours: then the memory of what is passed over or copied is given back, and whoever takes a view
   * may give back that (`releaseChunk`).
   */
  readonly owned?: boolean;
}

/** A sequence of chunks read as one sequence of bytes. Views are given out; nothing is copied that lies in one chunk. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #format: string;
  readonly #owned: boolean;
  #chunk: Uint8Array = nothing;
  #at = 0;
  #position = 0;

  /** `format` is named in the error for an early end. */
  constructor(source: AsyncIterable<Uint8Array>, format: string, { owned = false }: ByteSourceOptions = {}) {
    this.#format = format;
    this.#owned = owned;
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** How many bytes have been taken. */
  get position(): number {
    return this.#position;
  }

  /** What is at hand without waiting, to be looked at before it is taken; empty when the next chunk is needed (`fill`). */
  get available(): Uint8Array {
    return this.#chunk.subarray(this.#at);
  }

  /** Between 1 and `most` bytes that are at hand without waiting, or undefined when the next chunk is needed (`fill`). */
  takeAvailable(most: number): Uint8Array | undefined {
    const length = Math.min(most, this.#chunk.length - this.#at);
    if (length === 0) return undefined;
    const view = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#position += length;
    if (this.#at === this.#chunk.length) {
      // Whoever has all of a chunk may give its memory back (`releaseChunk`), so it is not looked at again.
      this.#chunk = nothing;
      this.#at = 0;
    }
    return view;
  }

  /** Waits until bytes are at hand; false at the end of the source. */
  async fill(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }

  /** Exactly `length` bytes, or undefined when the source is at its end; an end within them throws `object-corrupt`. */
  async take(length: number): Promise<Uint8Array | undefined> {
    const first = this.takeAvailable(length);
    if (first?.length === length) return first;
    const whole = new Uint8Array(length);
    let filled = first?.length ?? 0;
    if (first !== undefined) {
      whole.set(first);
      this.#release(first);
    }
    while (filled < length) {
      if (!(await this.fill())) {
        if (filled === 0) return undefined;
        throw truncatedData(this.#format);
      }
      const view = this.takeAvailable(length - filled);
      if (view === undefined) continue;
      whole.set(view, filled);
      filled += view.length;
      this.#release(view);
    }
    return whole;
  }

  /** Exactly `length` bytes; an end before or within them throws `object-corrupt`. */
  async need(length: number): Promise<Uint8Array> {
    const bytes = await this.take(length);
    if (bytes === undefined && length > 0) throw truncatedData(this.#format);
    return bytes ?? new Uint8Array(0);
  }

  /** Passes over `length` bytes; an end within them throws `object-corrupt`. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      const view = this.takeAvailable(left);
      if (view !== undefined) {
        left -= view.length;
        this.#release(view);
      } else if (!(await this.fill())) throw truncatedData(this.#format);
    }
  }

  #release(view: Uint8Array): void {
    if (this.#owned) releaseChunk(view);
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
