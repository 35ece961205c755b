import { BitReader } from "./bzip2/bit-reader.ts";
import { blockContent, readBlock } from "./bzip2/block.ts";
import type { Codec } from "./codec.ts";
import { corruptData } from "./corrupt.ts";
import { GeneratorStage } from "./generator-stage.ts";

/**
 * Bzip2, to read what others wrote: no well-kept package writes it, and none reads it as a stream with all its checks, so
 * the decoder is ours. It reads any number of streams one after the other, a block (at most 900 kB) at a time, on the event
 * loop; about 40 ms a block.
 */
export const bzip2: Codec = {
  name: "bzip2",
  extension: ".bz2",
  selfChecking: true,
  createEncoder: undefined,
  createDecoder: () => new GeneratorStage(decode),
};

const blockMark = 0x3141_5926_5359;
const endMark = 0x1772_4538_5090;
const headerBytes = 4;
/** No block is longer: 900,001 symbols of 20 bits, 18,002 selectors of 6, six tables of code lengths, and the rest. */
const blockLimitBytes = 2_400_000;

async function* decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const window = new Window(source);
  await window.fill();
  do {
    const capacity = readStreamHeader(window);
    let streamCrc = 0;
    for (;;) {
      await window.fill();
      const bits = window.bits();
      const mark = bits.read48();
      if (mark === endMark) {
        if (bits.read32() !== streamCrc) throw corruptData("bzip2", "a stream has a wrong checksum");
        window.moveToWholeByte(bits);
        break;
      }
      if (mark !== blockMark) throw corruptData("bzip2", "there is no block where one should be");
      const { crc, data } = readBlock(bits, capacity);
      window.moveTo(bits);
      yield* blockContent(crc, data);
      streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ crc) >>> 0;
    }
  } while (await window.fill());
}

/** `BZh` and a digit: the block size in units of 100,000 bytes. */
function readStreamHeader(window: Window): number {
  const bits = window.bits();
  const magic = bits.read(24);
  const level = bits.read(8) - 0x30;
  if (magic !== 0x42_5a68 || level < 1 || level > 9) {
    throw corruptData("bzip2", "there is no stream header where one should be");
  }
  window.moveTo(bits);
  return level * 100_000;
}

/** Holds enough bytes ahead that a block can be read without waiting in its midst. */
class Window {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Bits of the first byte that have been read already. */
  #bitsRead = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** Reads ahead as far as the longest block needs; false when nothing is left at all. */
  async fill(): Promise<boolean> {
    const pieces: Uint8Array[] = [this.#bytes];
    let held = this.#bytes.length;
    // Gathered in large steps, so that a byte is copied once or twice and not at every block.
    const wanted = held < blockLimitBytes + headerBytes ? 2 * blockLimitBytes : held;
    while (!this.#ended && held < wanted) {
      const next = await this.#chunks.next();
      if (next.done === true) {
        this.#ended = true;
      } else {
        pieces.push(next.value);
        held += next.value.length;
      }
    }
    if (pieces.length > 1) this.#bytes = Buffer.concat(pieces);
    return this.#bytes.length > 0;
  }

  bits(): BitReader {
    return new BitReader(this.#bytes, this.#bitsRead);
  }

  /** Lets go of what the reader has read. */
  moveTo(bits: BitReader): void {
    this.#bytes = this.#bytes.subarray(bits.position >>> 3);
    this.#bitsRead = bits.position & 7;
  }

  /** The same, with the rest of the last byte: streams start on whole bytes. */
  moveToWholeByte(bits: BitReader): void {
    this.#bytes = this.#bytes.subarray((bits.position + 7) >>> 3);
    this.#bitsRead = 0;
  }
}
