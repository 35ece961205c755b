import fc from "fast-check";
import { expect, test } from "vitest";
import { blockBytes, BlockPool } from "./block-pool.ts";

test("pieces are what was added, however it was cut, and blocks are used again", () => {
  const pool = new BlockPool();
  const seen = new Set<ArrayBufferLike>();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1_500_000 }), { maxLength: 6 }), (sizes) => {
      const chunks = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
      const expected = Buffer.concat(chunks);
      using list = pool.gather();
      for (const chunk of chunks) list.add(chunk);
      for (const { buffer } of list.pieces) seen.add(buffer);
      expect(Buffer.concat(list.pieces).equals(expected)).toBe(true);
    }),
    { numRuns: 50 },
  );
  expect(seen.size).toBeLessThanOrEqual(Math.ceil((6 * 1_500_000) / blockBytes));
});

test("discarded blocks are never given out again, and trimmed ones neither", () => {
  const pool = new BlockPool();
  const fill = () => {
    const list = pool.gather();
    list.add(new Uint8Array(10));
    return list;
  };
  const discarded = fill();
  const kept = discarded.pieces[0];
  discarded.discard();
  discarded[Symbol.dispose]();
  const next = fill();
  const trimmed = next.pieces[0];
  expect(trimmed?.buffer).not.toBe(kept?.buffer);
  next[Symbol.dispose]();
  pool.trim();
  expect(fill().pieces[0]?.buffer).not.toBe(trimmed?.buffer);
});
