import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { codecNamed } from "./codecs.ts";
import { compressPieces } from "./encode.ts";
import { easyData } from "./testing/sample-data.ts";
import { asyncSource, cut, through } from "./testing/streams.ts";

const segment = easyData(4_000_000);

test("a segment is compressed into pieces", async () => {
  const pieces = await compressPieces(codecNamed("gzip"), asyncSource(cut(segment, 100_000)), { level: 6 });

  expect(gunzipSync(Buffer.concat(pieces)).equals(segment)).toBe(true);
});

test("the level reaches the encoder", async () => {
  const size = async (level: number): Promise<number> =>
    Buffer.concat(await compressPieces(codecNamed("zstd"), asyncSource([segment]), { level })).length;

  expect(await size(9)).toBeLessThan(await size(1));
});

test("without compression the pieces are the source's", async () => {
  const chunks = [...cut(segment, 1_000_000)];

  expect(await compressPieces(codecNamed("none"), asyncSource(chunks))).toEqual(chunks);
});

test("a format that can only be read is refused", async () => {
  await expect(compressPieces(codecNamed("bzip2"), asyncSource([segment]))).rejects.toMatchObject({
    code: "usage",
    message: 'compression "bzip2" can be read, but not written',
  });
});

test("a failing source fails the compression", async () => {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield segment;
    throw new Error("the disk is gone");
  };

  await expect(compressPieces(codecNamed("zstd"), source())).rejects.toThrow("the disk is gone");
});

test("pieces pass through the decoder again", async () => {
  const pieces = await compressPieces(codecNamed("lz4"), asyncSource(cut(segment, 300_000)));

  expect((await through(codecNamed("lz4").createDecoder(), pieces)).equals(segment)).toBe(true);
});
