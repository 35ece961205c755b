import { expect, test } from "vitest";
import { releaseChunk } from "./release-chunk.ts";

test("a chunk that is all of its buffer is empty afterwards", () => {
  const chunk = Buffer.allocUnsafeSlow(1024);
  releaseChunk(chunk);
  expect(chunk.length).toBe(0);
});

test("a view of a part leaves the buffer to its other users", () => {
  const whole = Buffer.from(new Uint8Array(1024).fill(7).buffer);
  releaseChunk(whole.subarray(0, 512));
  releaseChunk(whole.subarray(512));
  expect(whole.every((byte) => byte === 7)).toBe(true);
});

test("a small chunk from Node's own pool leaves the pool alone", () => {
  const other = Buffer.from("another");
  releaseChunk(Buffer.from("small"));
  expect(other.toString()).toBe("another");
});
