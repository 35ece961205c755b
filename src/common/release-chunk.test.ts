import { expect, test } from "vitest";
import { releaseChunk } from "./release-chunk.ts";

test("a chunk that is all of its buffer is empty afterwards", () => {
  const chunk = Buffer.allocUnsafeSlow(1024);
  releaseChunk(chunk);
  expect(chunk.length).toBe(0);
});

test("a view of a part of a small buffer leaves it to its other users", () => {
  const whole = Buffer.from(new Uint8Array(1024).fill(7).buffer);
  releaseChunk(whole.subarray(0, 512));
  releaseChunk(whole.subarray(512));
  expect(whole.every((byte) => byte === 7)).toBe(true);
});

test("a large buffer is freed when the last of its parts has been given back, in whatever order", () => {
  const whole = Buffer.allocUnsafeSlow(200_000).fill(7);
  const parts = [whole.subarray(512, 150_000), whole.subarray(150_000), whole.subarray(0, 512)];
  for (const part of parts) {
    expect([whole.length, part.at(0)]).toEqual([200_000, 7]);
    releaseChunk(part);
  }
  expect(whole.length).toBe(0);
});

test("giving back more than there is is a bug, and is said", () => {
  const whole = Buffer.allocUnsafeSlow(200_000);
  releaseChunk(whole.subarray(0, 150_000));
  expect(() => releaseChunk(whole.subarray(0, 150_000))).toThrow(/given back twice/);
});

test("a small chunk from Node's own pool leaves the pool alone", () => {
  const other = Buffer.from("another");
  releaseChunk(Buffer.from("small"));
  expect(other.toString()).toBe("another");
});
