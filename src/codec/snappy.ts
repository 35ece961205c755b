import type * as Snappy from "snappy";
import { crc32c } from "../common/crc32c.ts";
import { kib } from "../common/units.ts";
import { gatherBlocks } from "./blocks.ts";
import { ByteSource } from "./byte-source.ts";
import type { Codec } from "./codec.ts";
import { corruptData } from "./corrupt.ts";
import { GeneratorStage } from "./generator-stage.ts";
import { nativeLibrary } from "./native-library.ts";

const library = nativeLibrary("snappy") as () => typeof Snappy;

/**
 * Snappy's framing format (google/snappy, framing_format.txt), the one that Barman's python-snappy writes, with the
 * blocks by the native `snappy` package. Every chunk has a checksum, but nothing marks the end: a stream cut between two
 * chunks is complete, so it is not self-checking. It has no levels.
 */
export const snappy: Codec = {
  name: "snappy",
  extension: ".snappy",
  selfChecking: false,
  createEncoder: () => new GeneratorStage(encode),
  createDecoder: () => new GeneratorStage(decode),
};

const chunkTypes = { compressed: 0x00, plain: 0x01, firstSkippable: 0x80, identifier: 0xff } as const;
const identifier = Buffer.from("sNaPpY", "latin1");
/** The format's limit for the content of a chunk. */
const contentBytes = 64 * kib;
/** The worst case of the block format for that content (`snappy::MaxCompressedLength`), and the checksum. */
const bodyLimitBytes = 4 + 32 + contentBytes + Math.floor(contentBytes / 6);

async function* encode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.concat([chunkHeader(chunkTypes.identifier, identifier.length), identifier]);
  for await (const block of gatherBlocks(source, contentBytes)) {
    const packed = library().compressSync(block);
    // As other writers do: less than an eighth saved is not worth unpacking.
    const compressed = packed.length < block.length - block.length / 8;
    const body = compressed ? packed : block;
    const head = Buffer.alloc(8);
    head.set(chunkHeader(compressed ? chunkTypes.compressed : chunkTypes.plain, body.length + 4));
    head.writeUInt32LE(maskedChecksum(block), 4);
    yield Buffer.concat([head, body]);
  }
}

async function* decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = new ByteSource(source, "snappy");
  for (let first = true; ; first = false) {
    const offset = bytes.position;
    const header = first ? await bytes.need(4) : await bytes.take(4);
    if (header === undefined) return;
    const [type = 0, low = 0, middle = 0, high = 0] = header;
    const length = low | (middle << 8) | (high << 16);
    if (first && type !== chunkTypes.identifier) throw damaged(offset, "is not the stream identifier");
    if (type === chunkTypes.identifier) {
      if (length !== identifier.length || !identifier.equals(await bytes.need(length))) {
        throw damaged(offset, "is not the stream identifier");
      }
    } else if (type >= chunkTypes.firstSkippable) {
      await bytes.skip(length);
    } else if (type === chunkTypes.compressed || type === chunkTypes.plain) {
      if (length < 4 || length > bodyLimitBytes) throw damaged(offset, `says its length is ${length}`);
      yield decodeChunk(type === chunkTypes.compressed, await bytes.need(length), offset);
    } else {
      throw damaged(offset, `is of unknown type ${type}`);
    }
  }
}

function decodeChunk(compressed: boolean, body: Uint8Array, offset: number): Uint8Array {
  const stored = new DataView(body.buffer, body.byteOffset, 4).getUint32(0, true);
  const content = compressed ? uncompress(body.subarray(4), offset) : body.subarray(4);
  if (content.length > contentBytes) throw damaged(offset, `holds ${content.length} bytes`);
  if (maskedChecksum(content) !== stored) throw damaged(offset, "has a wrong checksum");
  return content;
}

function uncompress(packed: Uint8Array, offset: number): Uint8Array {
  // The block says first how long its content is; believing a wrong one would allocate up to 4 GiB.
  const [first = 0, second = 0, third = 0] = packed;
  const length =
    first < 0x80
      ? first
      : second < 0x80
        ? (first & 0x7f) | (second << 7)
        : (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  if (length > contentBytes) throw damaged(offset, `says it holds more than ${contentBytes} bytes`);
  const native = library();
  try {
    const content = native.uncompressSync(packed);
    return typeof content === "string" ? Buffer.from(content, "latin1") : content;
  } catch (cause) {
    throw damaged(offset, "cannot be uncompressed", cause);
  }
}

function damaged(offset: number, what: string, cause?: unknown): Error {
  return corruptData("snappy", `the chunk at offset ${offset} ${what}`, cause);
}

function chunkHeader(type: number, length: number): Buffer {
  return Buffer.of(type, length & 0xff, (length >> 8) & 0xff, length >> 16);
}

/** The format's checksum of a chunk's content: rotated and displaced, so that data holding checksums do no harm. */
function maskedChecksum(content: Uint8Array): number {
  const crc = crc32c(content);
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0;
}
