import { corruptData } from "../corrupt.ts";
import type { BitReader } from "./bit-reader.ts";

/** The longest code that bzip2 allows. */
export const maxCodeBits = 20;

/** Codes up to this long are looked up in one step; nearly all are. */
const quickBits = 10;

/** A canonical prefix code: shorter codes first, then by symbol. */
export class PrefixCode {
  /** For the next `quickBits` bits: `symbol << 5 | length`, or 0 for a longer code. */
  readonly #quick = new Uint16Array(1 << quickBits);
  /** By length: the first code, how many there are, and where their symbols start in `#symbols`. */
  readonly #first = new Int32Array(maxCodeBits + 2);
  readonly #count = new Int32Array(maxCodeBits + 2);
  readonly #start = new Int32Array(maxCodeBits + 2);
  readonly #symbols: Uint16Array;

  /** `lengths` has the code length of each symbol, 1 to 20. */
  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    for (const length of lengths) this.#count[length] = (this.#count[length] ?? 0) + 1;
    let code = 0;
    let start = 0;
    for (let length = 1; length <= maxCodeBits; length++) {
      this.#first[length] = code;
      this.#start[length] = start;
      const count = this.#count[length] ?? 0;
      code += count;
      if (code > 1 << length) throw corruptData("bzip2", "a prefix code has too many codes");
      code <<= 1;
      start += count;
    }
    const next = this.#start.slice();
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol] ?? 0;
      const at = next[length] ?? 0;
      next[length] = at + 1;
      this.#symbols[at] = symbol;
      if (length <= quickBits)
        this.#fill(symbol, length, (this.#first[length] ?? 0) + at - (this.#start[length] ?? 0));
    }
  }

  decode(bits: BitReader): number {
    const window = bits.peek(maxCodeBits);
    const quick = this.#quick[window >>> (maxCodeBits - quickBits)] ?? 0;
    if (quick !== 0) {
      bits.skip(quick & 0x1f);
      return quick >>> 5;
    }
    for (let length = quickBits + 1; length <= maxCodeBits; length++) {
      const index = (window >>> (maxCodeBits - length)) - (this.#first[length] ?? 0);
      if (index >= 0 && index < (this.#count[length] ?? 0)) {
        bits.skip(length);
        return this.#symbols[(this.#start[length] ?? 0) + index] ?? 0;
      }
    }
    // Running out of bytes looks the same; that is the better message.
    bits.skip(maxCodeBits);
    throw corruptData("bzip2", "a code has no symbol");
  }

  #fill(symbol: number, length: number, code: number): void {
    const spare = quickBits - length;
    this.#quick.fill((symbol << 5) | length, code << spare, (code + 1) << spare);
  }
}
