import { truncatedData } from "../corrupt.ts";

/** Reads bits, most significant first, from bytes that are all at hand; reading past them throws `object-corrupt`. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** The lowest `#count` bits are still to be read; those above are stale. */
  #held = 0;
  #count = 0;

  constructor(bytes: Uint8Array, skipBits = 0) {
    this.#bytes = bytes;
    if (skipBits > 0) this.read(skipBits);
  }

  /** How many bits have been read. */
  get position(): number {
    return this.#at * 8 - this.#count;
  }

  /** The next `width` bits (at most 24) as a number, left where they are; zeros stand for what lies behind the end. */
  peek(width: number): number {
    while (this.#count < width) {
      this.#held = (this.#held << 8) | (this.#bytes[this.#at++] ?? 0);
      this.#count += 8;
    }
    return (this.#held >>> (this.#count - width)) & ((1 << width) - 1);
  }

  /** Passes over bits that were peeked at. */
  skip(width: number): void {
    this.#count -= width;
    if (this.#at * 8 - this.#count > this.#bytes.length * 8) throw truncatedData("bzip2");
  }

  /** The next `width` bits, at most 24. */
  read(width: number): number {
    const value = this.peek(width);
    this.skip(width);
    return value;
  }

  read32(): number {
    return ((this.read(16) << 16) | this.read(16)) >>> 0;
  }

  /** A 48-bit number. */
  read48(): number {
    return this.read(24) * 2 ** 24 + this.read(24);
  }
}
