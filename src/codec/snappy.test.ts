import { Compressor, Decompressor } from "snappy";
import { describe, expect, test } from "vitest";
import { snappy } from "./snappy.ts";
import { easyData, hardData } from "./testing/sample-data.ts";
import { cut, through } from "./testing/streams.ts";

const data = Buffer.concat([hardData(200_000), easyData(900_000)]);

function frame(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.of(type, body.length & 0xff, (body.length >> 8) & 0xff, body.length >> 16),
    body,
  ]);
}

const identifier = frame(0xff, Buffer.from("sNaPpY"));

async function decode(...chunks: Uint8Array[]): Promise<Buffer> {
  return through(snappy.createDecoder(), chunks);
}

describe("the snappy framing format", () => {
  test("is read by the framing code of another implementation", async () => {
    const encoded = await through(snappy.createEncoder!(), cut(data, 100_000));
    const other = new Decompressor();

    const decoded = Buffer.concat([other.update(encoded), await other.finish()]);

    expect(decoded.equals(data)).toBe(true);
    expect(encoded.subarray(0, 10)).toEqual(identifier);
  });

  test("is read as another implementation writes it", async () => {
    const other = new Compressor();
    const encoded = Buffer.concat([other.update(data), await other.finish()]);

    expect((await through(snappy.createDecoder(), cut(encoded, 10_000))).equals(data)).toBe(true);
  });

  test("may hold chunks to be skipped, and its identifier again", async () => {
    const encoded = await through(snappy.createEncoder!(), [data]);
    const skipped = [
      frame(0xfe, Buffer.alloc(70_000)),
      frame(0x80, Buffer.from("later")),
      frame(0xfd, Buffer.alloc(0)),
    ];

    expect((await decode(identifier, ...skipped, encoded, ...skipped)).equals(data)).toBe(true);
  });

  test.each([
    [
      "begins with a chunk of data",
      [frame(0x01, Buffer.from("abcdefgh"))],
      "the chunk at offset 0 is not the stream identifier",
    ],
    [
      "has another identifier",
      [frame(0xff, Buffer.from("sNaPpy"))],
      "the chunk at offset 0 is not the stream identifier",
    ],
    [
      "holds a chunk that may not be skipped",
      [identifier, frame(0x02, Buffer.alloc(9))],
      "the chunk at offset 10 is of unknown type 2",
    ],
    [
      "holds a chunk without a checksum",
      [identifier, frame(0x01, Buffer.alloc(3))],
      "the chunk at offset 10 says its length is 3",
    ],
    [
      "holds a chunk that is too long",
      [identifier, frame(0x00, Buffer.alloc(80_000))],
      "the chunk at offset 10 says its length is 80000",
    ],
    [
      "claims to unpack to gigabytes",
      [identifier, frame(0x00, Buffer.of(0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f))],
      "the chunk at offset 10 says it holds more than 65536 bytes",
    ],
    [
      "has a wrong checksum",
      [identifier, frame(0x01, Buffer.from("abcdefgh"))],
      "the chunk at offset 10 has a wrong checksum",
    ],
  ])("is refused when it %s", async (_, chunks, message) => {
    await expect(decode(...chunks)).rejects.toThrow(`damaged snappy data: ${message}`);
  });
});
