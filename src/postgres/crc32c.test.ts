import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";

// RFC 3720, appendix B.4.
test.each([
  ["32 zeros", Buffer.alloc(32), 0x8a9136aa],
  ["32 ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["rising bytes", Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ["digits", Buffer.from("123456789"), 0xe3069283],
  ["nothing", Buffer.alloc(0), 0],
])("gives the published checksum of %s", (_, bytes, checksum) => {
  expect(crc32c(bytes)).toBe(checksum);
});

test("goes on where an earlier call ended", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (head, tail) => {
      expect(crc32c(tail, crc32c(head))).toBe(crc32c(Buffer.concat([head, tail])));
    }),
  );
});
