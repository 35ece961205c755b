import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { cut, through } from "./testing/streams.ts";
import { ZstdFrameEncoder } from "./zstd-frame-encoder.ts";
import { zstd } from "./zstd.ts";

/** The frames of all chunks, encoded at the same time. */
async function encodeAll(chunks: Iterable<Uint8Array>): Promise<Buffer> {
  using encoder = new ZstdFrameEncoder();
  const frames = await Promise.all(Array.from(chunks, async (chunk) => encoder.encode(chunk)));
  return Buffer.concat(frames.flat());
}

it("gives back what went in, through our decoder, however it was cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 5000 }),
      fc.integer({ min: 1, max: 3000 }),
      async (bytes, size) => {
        const encoded = await encodeAll(cut(bytes, size));
        expect(await through(zstd.createDecoder(), [encoded])).toEqual(Buffer.from(bytes));
      },
    ),
    { numRuns: 50 },
  );
});

it("gives back a MiB that does not compress, and one that does", async () => {
  const bytes = Buffer.concat([randomBytes(1_048_576), Buffer.alloc(1_048_576, "tidemark")]);

  const encoded = await encodeAll(cut(bytes, 1_048_576));

  expect(await through(zstd.createDecoder(), [encoded])).toEqual(bytes);
});

it("notices a flipped bit in every frame", async () => {
  const encoded = await encodeAll([Buffer.alloc(1000, "a"), Buffer.alloc(1000, "b")]);
  for (const at of [12, encoded.length - 20]) {
    const damaged = Buffer.from(encoded);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    await expect(through(zstd.createDecoder(), [damaged])).rejects.toThrow(/zstd/);
  }
});

it("writes one frame also where its last byte fills the buffer that it is written to", async () => {
  // The first frame leaves room for just the second one, to the byte: then libzstd would be asked for more.
  using encoder = new ZstdFrameEncoder({ concurrency: 1 });
  const frameBytes = async (bytes: Buffer): Promise<number> => {
    using other = new ZstdFrameEncoder({ concurrency: 1 });
    return Buffer.concat(await other.encode(bytes)).length;
  };
  const first = randomBytes(1000);
  const room = 1_048_576 - (await frameBytes(first));
  let second = randomBytes(room - 50);
  second = Buffer.concat([second, randomBytes(room - (await frameBytes(second)))]);
  expect(await frameBytes(second)).toBe(room);

  await encoder.encode(first);
  const encoded = Buffer.concat(await encoder.encode(second));

  expect(encoded).toHaveLength(room);
});
