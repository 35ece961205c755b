import fc from "fast-check";
import { expect, test } from "vitest";
import { formatLsn, lsn, parseLsn } from "./lsn.ts";

test.each([
  ["0/0", 0n],
  ["16/B374D848", 0x16_b374_d848n],
  ["16/b374d848", 0x16_b374_d848n],
  ["00000001/00000002", 0x1_0000_0002n],
  ["FFFFFFFF/FFFFFFFF", 2n ** 64n - 1n],
])("reads %s as PostgreSQL does", (text, value) => {
  expect(parseLsn(text)).toBe(value);
});

test.each([
  "",
  "0",
  "0/",
  "/0",
  "0/0 ",
  " 0/0",
  "G/0",
  "123456789/0",
  "0/123456789",
  "0x1/2",
  "-1/0",
  "0/0\n",
])("refuses %j", (text) => {
  expect(() => parseLsn(text)).toThrow(`"${text}" is not an LSN`);
});

test("writes upper case without leading zeros, and reads it back, for every position", () => {
  expect(formatLsn(lsn(0x16_0374_d848n))).toBe("16/374D848");
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const text = formatLsn(lsn(value));

      expect(text).toMatch(/^(0|[1-9A-F][0-9A-F]*)\/(0|[1-9A-F][0-9A-F]*)$/);
      expect(parseLsn(text)).toBe(value);
    }),
  );
});

test.each([-1n, 2n ** 64n])("does not take %s for a position", (value) => {
  expect(() => lsn(value)).toThrow("unsigned 64-bit");
});
