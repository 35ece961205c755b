import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { gunzipSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { createEncoder } from "./encode.ts";
import { GzipChunkEncoder } from "./gzip-chunk-encoder.ts";
import { gzip } from "./gzip.ts";
import { easyData } from "./testing/sample-data.ts";
import { cut, through } from "./testing/streams.ts";

const encoder = new GzipChunkEncoder();
afterAll(() => encoder[Symbol.dispose]());

/** A member of these chunks, encoded at the same time. */
async function encodeAll(chunks: Iterable<Uint8Array>, from = encoder): Promise<Buffer> {
  const member = from.startMember();
  const parts = await Promise.all(Array.from(chunks, async (chunk) => member.encode(chunk)));
  return Buffer.concat([member.head, ...parts.flat(), member.tail]);
}

const mib = 1_048_576;
const content = Buffer.concat([easyData(3 * mib), randomBytes(2 * mib + 77), Buffer.alloc(mib), easyData(5)]);

test("gives back what went in, however it was cut, also when members are written at the same time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 5000 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 3000 }),
      async (contents, size) => {
        const members = await Promise.all(contents.map(async (bytes) => encodeAll(cut(bytes, size))));
        for (const [index, bytes] of contents.entries()) {
          expect(gunzipSync(members[index] ?? "")).toEqual(Buffer.from(bytes));
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("is one member, to its end, for every reader", async () => {
  const encoded = await encodeAll(cut(content, mib));

  // The blocks end just before checksum and size: no second member stands in what a reader of one would leave.
  const { engine } = inflateRawSync(encoded.subarray(10), { info: true }) as unknown as {
    engine: { bytesWritten: number };
  };
  expect(engine.bytesWritten).toBe(encoded.length - 10 - 8);
  expect((await through(gzip.createDecoder(), cut(encoded, 65_536))).equals(content)).toBe(true);
  expect(execFileSync("gzip", ["-dc"], { input: encoded, maxBuffer: 64 * mib }).equals(content)).toBe(true);
  expect(execFileSync("gzip", ["-t"], { input: encoded }).length).toBe(0);
});

test("is hardly larger than one stream, and follows the level", async () => {
  using best = new GzipChunkEncoder({ level: 9 });
  const stream = await through(createEncoder(gzip), [content]);
  const encoded = await encodeAll(cut(content, mib));

  expect(encoded.length).toBeLessThan(stream.length * 1.02);
  expect((await encodeAll(cut(content, mib), best)).length).toBeLessThan(encoded.length);
});

test("a flipped bit is noticed", async () => {
  const encoded = await encodeAll(cut(content, mib));
  for (const at of [12, 100_000, encoded.length - 5]) {
    const damaged = Buffer.from(encoded);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    await expect(through(gzip.createDecoder(), cut(damaged, 65_536))).rejects.toThrow(/gzip/);
  }
});
