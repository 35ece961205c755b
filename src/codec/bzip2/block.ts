import { kib } from "../../common/units.ts";
import { corruptData } from "../corrupt.ts";
import type { BitReader } from "./bit-reader.ts";
import { updateCrc } from "./crc32.ts";
import { PrefixCode } from "./prefix-code.ts";

/** Symbols are coded in groups of fifty that share a prefix code. */
const groupSymbols = 50;
const pieceBytes = 256 * kib;

/** The last column of the sorted rotations, with what leads back from it to the content. */
interface Transformed {
  /** The low byte is the last column; the bits above are links to the next row. */
  readonly rows: Uint32Array;
  readonly length: number;
  readonly origin: number;
}

/**
 * Reads a block behind its 48-bit mark: its checksum and the transformed content. `capacity` is 100,000 to 900,000
 * bytes. The content itself is then had from `blockContent`.
 */
export function readBlock(
  bits: BitReader,
  capacity: number,
): { readonly crc: number; readonly data: Transformed } {
  const crc = bits.read32();
  if (bits.read(1) === 1)
    throw corruptData("bzip2", "a block is randomised, which no bzip2 has written since 1997");
  const origin = bits.read(24);
  const bytesUsed = readBytesUsed(bits);
  const rows = new Uint32Array(capacity);
  const length = readSymbols(bits, bytesUsed, rows);
  if (origin >= length) throw corruptData("bzip2", "the start of a block lies outside it");
  linkRows(rows, length);
  return { crc, data: { rows, length, origin } };
}

/** The content of a block in pieces; a wrong checksum throws `object-corrupt` behind the last. */
export function* blockContent(crc: number, data: Transformed): Generator<Uint8Array, void, undefined> {
  let register = -1;
  for (const piece of unpackRuns(data)) {
    register = updateCrc(register, piece);
    yield piece;
  }
  if (~register >>> 0 !== crc) throw corruptData("bzip2", "a block has a wrong checksum");
}

/** Which byte values occur: sixteen bits for the sixteens that do, then sixteen bits for each of those. */
function readBytesUsed(bits: BitReader): Uint8Array {
  const sixteens = bits.read(16);
  const used: number[] = [];
  for (let high = 0; high < 16; high++) {
    if ((sixteens & (0x8000 >> high)) === 0) continue;
    const ones = bits.read(16);
    for (let low = 0; low < 16; low++) if ((ones & (0x8000 >> low)) !== 0) used.push(high * 16 + low);
  }
  if (used.length === 0) throw corruptData("bzip2", "a block uses no byte values");
  return Uint8Array.from(used);
}

/** Decodes the prefix codes, the runs of the most recent byte, and the move-to-front list; gives the block's length. */
function readSymbols(bits: BitReader, bytesUsed: Uint8Array, rows: Uint32Array): number {
  const { codes, selectors } = readCodes(bits, bytesUsed.length + 2);
  const endOfBlock = bytesUsed.length + 1;
  const recent = bytesUsed.slice();
  let length = 0;
  let run = 0;
  let runBit = 1;
  for (const selector of selectors) {
    const code = codes[selector];
    if (code === undefined) throw corruptData("bzip2", "a block selects a code that it does not have");
    for (let left = groupSymbols; left > 0; left--) {
      const symbol = code.decode(bits);
      if (symbol <= 1) {
        // Runs are written in base 2 with the digits 1 and 2, lowest first.
        run += runBit << symbol;
        runBit <<= 1;
        if (run > rows.length) throw tooLong();
        continue;
      }
      if (run > 0) {
        if (length + run > rows.length) throw tooLong();
        rows.fill(recent[0] as number, length, length + run);
        length += run;
        run = 0;
        runBit = 1;
      }
      if (symbol === endOfBlock) return length;
      const byte = recent[symbol - 1] as number;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      if (length === rows.length) throw tooLong();
      rows[length++] = byte;
    }
  }
  throw corruptData("bzip2", "a block has no end");
}

function tooLong(): Error {
  return corruptData("bzip2", "a block is longer than the stream says");
}

function readCodes(
  bits: BitReader,
  alphabet: number,
): { readonly codes: readonly PrefixCode[]; readonly selectors: Uint8Array } {
  const codeCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (codeCount < 2 || codeCount > 6 || selectorCount === 0) {
    throw corruptData("bzip2", `a block has ${codeCount} codes and ${selectorCount} selectors`);
  }
  const selectors = new Uint8Array(selectorCount);
  const recent = Uint8Array.of(0, 1, 2, 3, 4, 5);
  for (let at = 0; at < selectorCount; at++) {
    let index = 0;
    while (bits.read(1) === 1) index++;
    if (index >= codeCount) throw corruptData("bzip2", "a block selects a code that it does not have");
    const selector = recent[index] as number;
    recent.copyWithin(1, 0, index);
    recent[0] = selector;
    selectors[at] = selector;
  }
  const codes = Array.from({ length: codeCount }, () => new PrefixCode(readLengths(bits, alphabet)));
  return { codes, selectors };
}

/** Code lengths, each as steps up or down from the one before. */
function readLengths(bits: BitReader, alphabet: number): Uint8Array {
  const lengths = new Uint8Array(alphabet);
  let length = bits.read(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    for (;;) {
      if (length < 1 || length > 20) throw corruptData("bzip2", `a code is ${length} bits long`);
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  return lengths;
}

/** Puts into each row's upper bits which row follows it: the inverse of the Burrows-Wheeler transform. */
function linkRows(rows: Uint32Array, length: number): void {
  const next = new Uint32Array(256);
  for (let at = 0; at < length; at++) next[rows[at] as number] = (next[rows[at] as number] as number) + 1;
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const count = next[byte] as number;
    next[byte] = sum;
    sum += count;
  }
  for (let at = 0; at < length; at++) {
    const byte = (rows[at] as number) & 0xff;
    const to = next[byte] as number;
    next[byte] = to + 1;
    rows[to] = (rows[to] as number) | (at << 8);
  }
}

/** Follows the links, and unpacks the first layer of runs: four equal bytes are followed by how many more there are. */
function* unpackRuns({ rows, length, origin }: Transformed): Generator<Uint8Array, void, undefined> {
  let piece = new Uint8Array(pieceBytes);
  let filled = 0;
  let row = (rows[origin] as number) >>> 8;
  let previous = -1;
  let equal = 0;
  for (let left = length; left > 0; left--) {
    const entry = rows[row] as number;
    const byte = entry & 0xff;
    row = entry >>> 8;
    let count = 1;
    if (equal === 4) {
      count = byte;
      equal = 0;
    } else {
      equal = byte === previous ? equal + 1 : 1;
      previous = byte;
    }
    if (filled + count > pieceBytes) {
      yield piece.subarray(0, filled);
      piece = new Uint8Array(pieceBytes);
      filled = 0;
    }
    if (count === 1) piece[filled++] = previous;
    else {
      piece.fill(previous, filled, filled + count);
      filled += count;
    }
    // What follows a run starts anew, even with the same byte.
    if (equal === 0) previous = -1;
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
