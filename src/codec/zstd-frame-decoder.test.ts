import { randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, it, test } from "vitest";
import { isEngineError } from "../common/errors.ts";
import { releaseChunk } from "../common/release-chunk.ts";
import { createEncoder } from "./encode.ts";
import { asyncSource, cut, through } from "./testing/streams.ts";
import { ZstdFrameDecoder } from "./zstd-frame-decoder.ts";
import { ZstdFrameEncoder } from "./zstd-frame-encoder.ts";
import { zstd } from "./zstd.ts";

const mib = 1_048_576;
const encoder = new ZstdFrameEncoder();
const decoder = new ZstdFrameDecoder({ concurrency: 3 });
afterAll(() => {
  encoder[Symbol.dispose]();
  decoder[Symbol.dispose]();
});

/** Decodes chunks of its own memory, and gives back what came out, as a restore does. */
async function decode(stored: Buffer, chunkBytes = 256 * 1024): Promise<Buffer> {
  const own = Array.from(cut(stored, chunkBytes), (chunk) => Uint8Array.from(chunk));
  const out: Uint8Array[] = [];
  for await (const piece of decoder.decode(asyncSource(own))) {
    out.push(Uint8Array.from(piece));
    releaseChunk(piece);
  }
  return Buffer.concat(out);
}

const frame = async (content: Uint8Array): Promise<Buffer> => Buffer.concat(await encoder.encode(content));
const content = Buffer.concat([randomBytes(3 * mib), Buffer.alloc(3 * mib, "tidemark"), randomBytes(77)]);
const many = async (): Promise<Buffer> =>
  Buffer.concat(await Promise.all(Array.from(cut(content, mib), frame)));
const skippable = Buffer.concat([Buffer.from("502a4d1803000000", "hex"), Buffer.from("abc")]);

describe("what it decodes", () => {
  it("is what went in, for small frames of every size, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 4000 }),
        async (contents, chunkBytes) => {
          const stored = Buffer.concat(await Promise.all(contents.map(frame)));
          expect(await decode(stored, chunkBytes)).toEqual(Buffer.concat(contents));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([1000, 65_536, 262_144, 10_000_000])(
    "is what went in, for frames of a MiB in chunks of %i bytes",
    async (chunkBytes) => {
      expect((await decode(await many(), chunkBytes)).equals(content)).toBe(true);
    },
  );

  it("is what went in, for one frame of unknown size, for a large one, and for a mixture with skippable ones", async () => {
    const unknown = await through(createEncoder(zstd), [content]);
    const large = zstdCompressSync(content);
    const expected = Buffer.concat([content.subarray(0, 5), content, content, content.subarray(0, 9)]);
    const mixture = Buffer.concat([
      skippable,
      await frame(content.subarray(0, 5)),
      skippable,
      large,
      skippable,
      unknown,
      await frame(content.subarray(0, 9)),
    ]);
    for (const chunkBytes of [4096, 262_144]) {
      expect((await decode(unknown, chunkBytes)).equals(content)).toBe(true);
      expect((await decode(large, chunkBytes)).equals(content)).toBe(true);
      expect((await decode(mixture, chunkBytes)).equals(expected)).toBe(true);
    }
  });

  it("does not grow with what a small frame claims: a GiB of zeros in 32 KiB goes by in pieces", async () => {
    const bomb = zstdCompressSync(Buffer.alloc(64 * mib));
    let largest = 0;
    let total = 0;
    for await (const piece of decoder.decode(asyncSource([Uint8Array.from(bomb)]))) {
      largest = Math.max(largest, piece.length);
      total += piece.length;
    }
    expect([largest <= mib, total]).toEqual([true, 64 * mib]);
  });
});

test("a frame that holds more than it says is noticed without being held", async () => {
  // Magic, descriptor (single segment, four bytes of size), 1 MiB; then 3,000 blocks of 128 KiB that repeat one byte.
  const block = Buffer.from([...uint24((131_072 << 3) | 2), 7]);
  const blocks = Buffer.concat(Array.from({ length: 3000 }, () => block));
  const lying = Buffer.concat([
    Buffer.from("28b52ffda000001000", "hex"),
    blocks,
    Buffer.from([...uint24((131_072 << 3) | 3), 7]),
  ]);
  const before = process.memoryUsage().arrayBuffers;

  await expect(decode(lying, 1000)).rejects.toSatisfy((error) => isEngineError(error, "object-corrupt"));

  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * mib);
});

const uint24 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff];

test("an abort ends it at the next piece", async () => {
  for (const stored of [await many(), zstdCompressSync(content)]) {
    const stop = new AbortController();
    let pieces = 0;
    const reading = (async () => {
      for await (const _ of decoder.decode(asyncSource([Uint8Array.from(stored)]), stop.signal)) {
        if (++pieces === 2) stop.abort();
      }
    })();
    await expect(reading).rejects.toSatisfy((error) => isEngineError(error, "aborted"));
    expect(pieces).toBe(2);
  }
});

describe("damage is `object-corrupt`", () => {
  it("for a stream that is cut anywhere but between frames, empty, or followed by something else", async () => {
    const stored = await many();
    const frames = await Promise.all(Array.from(cut(content, mib), frame));
    const firstEnd = frames[0]?.length ?? 0;
    for (const at of [0, 1, 5, 100, firstEnd - 1, firstEnd + 1, firstEnd + 100, stored.length - 1]) {
      await expect(decode(stored.subarray(0, at))).rejects.toSatisfy((error) =>
        isEngineError(error, "object-corrupt"),
      );
    }
    await expect(decode(Buffer.concat([stored, Buffer.from("junk")]))).rejects.toThrow(/no frame follows/);
  });

  it("for a bit flipped anywhere, while another stream is decoded by the same decoder", async () => {
    const stored = await many();
    for (const at of [0, 3, 4, 6, 9, 1000, 2 * mib, stored.length - 1]) {
      const damaged = Buffer.from(stored);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 4, at);
      const good = decode(stored);
      await expect(decode(damaged), `a flip at ${at}`).rejects.toSatisfy((error) =>
        isEngineError(error, "object-corrupt"),
      );
      expect((await good).equals(content)).toBe(true);
    }
  });
});

it("closes its source when the reader leaves early", async () => {
  let closed = 0;
  const source = async function* (stored: Buffer) {
    try {
      for (const chunk of cut(stored, 1000)) yield Uint8Array.from(chunk);
    } finally {
      closed++;
    }
  };
  for (const stored of [await many(), zstdCompressSync(content)]) {
    for await (const _ of decoder.decode(source(stored))) break;
  }
  await expect.poll(() => closed).toBe(2);
});
