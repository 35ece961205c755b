import { expect, test } from "vitest";
import { releaseChunk } from "../common/release-chunk.ts";
import { ByteSource } from "./byte-source.ts";
import { asyncSource } from "./testing/streams.ts";

test("whoever has all of a chunk may give its memory back before asking for more", async () => {
  const bytes = new ByteSource(asyncSource([new Uint8Array(64).fill(1), new Uint8Array(64).fill(2)]), "tar");
  await bytes.fill();
  const first = bytes.takeAvailable(64);
  expect(first).toEqual(new Uint8Array(64).fill(1));
  if (first !== undefined) releaseChunk(first);
  expect(bytes.takeAvailable(64)).toBeUndefined();
  expect(await bytes.need(64)).toEqual(new Uint8Array(64).fill(2));
  expect(bytes.position).toBe(128);
  expect(await bytes.fill()).toBe(false);
});
