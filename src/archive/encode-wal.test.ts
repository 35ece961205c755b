import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { codecNamed } from "../codec/codecs.ts";
import { easyData } from "../codec/testing/sample-data.ts";
import { through } from "../codec/testing/streams.ts";
import { ZstdFrames } from "../codec/zstd-frames.ts";
import { WalEncoder } from "./encode-wal.ts";

const hard = randomBytes(3_000_000);
const easy = easyData(16_777_216);

test.each(["gzip", "zstd", "lz4", "snappy"] as const)(
  "files come back from %s, several at a time",
  async (codec) => {
    const encoder = new WalEncoder();
    const contents = [easy, hard, easy.subarray(0, 1_048_576), hard.subarray(0, 77), easy, hard];

    const encoded = await Promise.all(
      contents.map(async (content) => encoder.encode(content, { codec, level: 1 })),
    );

    for (const [index, blocks] of encoded.entries()) {
      const decoded = await through(codecNamed(codec).createDecoder(), blocks.pieces);
      expect(decoded.equals(contents[index] ?? hard)).toBe(true);
    }
  },
);

test("with zstd a file is one frame, which readers of one frame read whole, and has its checksum at the end", async () => {
  const encoder = new WalEncoder();
  const encode = async (): Promise<Buffer> => {
    using blocks = await encoder.encode(easy, { codec: "zstd", level: 1 });
    return Buffer.concat(blocks.pieces);
  };
  const first = await encode();
  encoder.trim();
  const second = await encode();

  expect(new ZstdFrames().frameEnd(first, 0)).toBe(first.length);
  expect(zstdDecompressSync(first).equals(easy)).toBe(true);
  expect(second.equals(first)).toBe(true);
});

test("the level is each target's own", async () => {
  const encoder = new WalEncoder();
  const size = async (level: number) =>
    Buffer.concat((await encoder.encode(easy, { codec: "zstd", level })).pieces).length;

  expect(await size(9)).toBeLessThan(await size(1));
});
