import fc from "fast-check";
import { expect, test } from "vitest";
import { Xxh32, xxh32 } from "./xxhash32.ts";

/** The generator of the reference's own sanity checks (xxHash, `xsum_sanity_check.c`): a byte from each step. */
function sanityBytes(length: number): Uint8Array {
  let generator = 2_654_435_761n;
  return Uint8Array.from({ length }, () => {
    const byte = Number(generator >> 56n);
    generator = BigInt.asUintN(64, generator * 11_400_714_785_074_694_797n);
    return byte;
  });
}

test.each([
  [0, 0, 0x02cc_5d05],
  [0, 0x9e37_79b1, 0x36b7_8ae7],
  [1, 0, 0xcf65_b03e],
  [1, 0x9e37_79b1, 0xb454_5aa4],
  [14, 0, 0x1208_e7e2],
  [222, 0, 0x5bd1_1dbd],
])("the hash of %i bytes with seed %i is the reference's", (length, seed, expected) => {
  const hash = new Xxh32(seed);
  hash.update(sanityBytes(length));

  expect(hash.digest()).toBe(expected);
});

test("the hash does not depend on how the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 6 }), (pieces) => {
      const hash = new Xxh32();
      for (const piece of pieces) hash.update(piece);
      expect(hash.digest()).toBe(xxh32(Buffer.concat(pieces)));
    }),
  );
});
