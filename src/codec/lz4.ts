import type * as Lz4 from "lz4-napi";
import { kib } from "../common/units.ts";
import { gatherBlocks } from "./blocks.ts";
import { ByteSource } from "./byte-source.ts";
import type { Codec } from "./codec.ts";
import { corruptData } from "./corrupt.ts";
import { GeneratorStage } from "./generator-stage.ts";
import { nativeLibrary } from "./native-library.ts";
import { Xxh32, xxh32 } from "./xxhash32.ts";

const library = nativeLibrary("lz4-napi") as () => typeof Lz4;

/**
 * The LZ4 frame format (lz4/lz4, lz4_Frame_format.md), with the blocks by the native `lz4-napi` package, off the event
 * loop. Written: one frame of independent blocks of 1 MiB with a content checksum; there is one level. Read: any number of
 * frames, linked blocks too (Python writes those), and skippable frames; no dictionaries and no legacy frames.
 */
export const lz4: Codec = {
  name: "lz4",
  extension: ".lz4",
  selfChecking: true,
  createEncoder: () => new GeneratorStage(encode),
  createDecoder: () => new GeneratorStage(decode),
};

const magic = 0x184d_2204;
const skippableMagic = 0x184d_2a50;
const plainBlock = 0x8000_0000;
/** What a linked block may refer back to. */
const windowBytes = 64 * kib;

const flags = {
  version: 0x40,
  independent: 0x20,
  blockChecksum: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
  dictionary: 0x01,
};
const writtenBlockCode = 6;

async function* encode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const descriptor = Buffer.of(
    flags.version | flags.independent | flags.contentChecksum,
    writtenBlockCode << 4,
  );
  yield Buffer.concat([uint32(magic), descriptor, Buffer.of(headerChecksum(descriptor))]);
  const hash = new Xxh32();
  for await (const block of gatherBlocks(source, blockLimit(writtenBlockCode))) {
    hash.update(block);
    // The package puts the content's size in four bytes before the block: just the room for the frame's block size.
    const packed = await library().compress(block);
    const packedBytes = packed.length - 4;
    if (packedBytes < block.length) {
      packed.writeUInt32LE(packedBytes, 0);
      yield packed;
    } else {
      yield Buffer.concat([uint32(plainBlock + block.length), block]);
    }
  }
  yield Buffer.concat([uint32(0), uint32(hash.digest())]);
}

async function* decode(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = new ByteSource(source, "lz4");
  for (let first = true; ; first = false) {
    const offset = bytes.position;
    const start = first ? await bytes.need(4) : await bytes.take(4);
    if (start === undefined) return;
    const found = readUint32(start);
    if (found === magic) yield* decodeFrame(bytes, offset);
    else if (found >= skippableMagic && found < skippableMagic + 16)
      await bytes.skip(readUint32(await bytes.need(4)));
    else throw corruptData("lz4", `there is no frame at offset ${offset}`);
  }
}

async function* decodeFrame(bytes: ByteSource, offset: number): AsyncGenerator<Uint8Array, void, undefined> {
  const frame = await readFrameHeader(bytes, offset);
  const hash = frame.contentChecksum ? new Xxh32() : undefined;
  let window: Uint8Array = new Uint8Array(0);
  let contentBytes = 0;
  for (;;) {
    const blockOffset = bytes.position;
    const sizeField = readUint32(await bytes.need(4));
    if (sizeField === 0) break;
    const isPlain = sizeField >= plainBlock;
    const size = isPlain ? sizeField - plainBlock : sizeField;
    if (size > frame.blockLimitBytes) throw damagedBlock(blockOffset, `says its size is ${size}`);
    const stored = await bytes.need(size);
    if (frame.blockChecksums && readUint32(await bytes.need(4)) !== xxh32(stored)) {
      throw damagedBlock(blockOffset, "has a wrong checksum");
    }
    const content = isPlain
      ? stored
      : await uncompressBlock(stored, frame.blockLimitBytes, window, blockOffset);
    if (frame.linked) window = lastBytes(window, content);
    hash?.update(content);
    contentBytes += content.length;
    yield content;
  }
  if (frame.contentBytes !== undefined && frame.contentBytes !== BigInt(contentBytes)) {
    throw corruptData(
      "lz4",
      `the frame at offset ${offset} holds ${contentBytes} bytes, not ${frame.contentBytes}`,
    );
  }
  if (hash !== undefined && readUint32(await bytes.need(4)) !== hash.digest()) {
    throw corruptData("lz4", `the frame at offset ${offset} has a wrong checksum`);
  }
}

interface Frame {
  readonly linked: boolean;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  readonly contentBytes: bigint | undefined;
  readonly blockLimitBytes: number;
}

async function readFrameHeader(bytes: ByteSource, offset: number): Promise<Frame> {
  const start = await bytes.need(2);
  const [flag = 0, blockDescriptor = 0] = start;
  const sizeBytes = (flag & flags.contentSize) === 0 ? 0 : 8;
  const dictionaryBytes = (flag & flags.dictionary) === 0 ? 0 : 4;
  const rest = await bytes.need(sizeBytes + dictionaryBytes + 1);
  const descriptor = Buffer.concat([start, rest.subarray(0, -1)]);
  if (rest.at(-1) !== headerChecksum(descriptor)) {
    throw corruptData("lz4", `the frame header at offset ${offset} has a wrong checksum`);
  }
  const blockCode = (blockDescriptor >> 4) & 0x07;
  if ((flag & 0xc0) !== flags.version || blockCode < 4 || dictionaryBytes > 0) {
    throw corruptData("lz4", `the frame at offset ${offset} is of a kind that is not supported`);
  }
  return {
    linked: (flag & flags.independent) === 0,
    blockChecksums: (flag & flags.blockChecksum) !== 0,
    contentChecksum: (flag & flags.contentChecksum) !== 0,
    contentBytes: sizeBytes === 0 ? undefined : descriptor.readBigUInt64LE(2),
    blockLimitBytes: blockLimit(blockCode),
  };
}

async function uncompressBlock(
  stored: Uint8Array,
  limitBytes: number,
  window: Uint8Array,
  offset: number,
): Promise<Uint8Array> {
  // The package takes the room to unpack into from four bytes before the block, and gives what was really there.
  const sized = Buffer.concat([uint32(limitBytes), stored]);
  const dictionary = window.length === 0 ? undefined : Buffer.from(window);
  const native = library();
  try {
    // A thread costs more than a small block does.
    if (limitBytes <= windowBytes) return native.uncompressSync(sized, dictionary);
    return await native.uncompress(sized, dictionary);
  } catch (cause) {
    throw damagedBlock(offset, "cannot be uncompressed", cause);
  }
}

/** What the next linked block may refer to, as bytes of their own: `content` belongs to the reader. */
function lastBytes(window: Uint8Array, content: Uint8Array): Uint8Array {
  // Not `slice`: on a Buffer that is a view.
  if (content.length >= windowBytes) return Uint8Array.from(content.subarray(-windowBytes));
  return Buffer.concat([window.subarray(-(windowBytes - content.length)), content]);
}

function damagedBlock(offset: number, what: string, cause?: unknown): Error {
  return corruptData("lz4", `the block at offset ${offset} ${what}`, cause);
}

/** 4: 64 KiB, 5: 256 KiB, 6: 1 MiB, 7: 4 MiB. */
function blockLimit(code: number): number {
  return 64 * kib * 4 ** (code - 4);
}

function headerChecksum(descriptor: Uint8Array): number {
  return (xxh32(descriptor) >>> 8) & 0xff;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function readUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
