import fc from "fast-check";
import { expect, test } from "vitest";
import { formatSystemIdentifier, parseSystemIdentifier, systemIdentifier } from "./system-identifier.ts";
import { formatTimelineHex, parseTimelineHex, timelineId } from "./timeline.ts";

test("writes eight upper-case digits and reads them back, for every timeline", () => {
  expect(formatTimelineHex(timelineId(0xab))).toBe("000000AB");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), (number) => {
      expect(parseTimelineHex(formatTimelineHex(timelineId(number)))).toBe(number);
    }),
  );
});

test.each([0, -1, 1.5, 2 ** 32, Number.NaN])("does not take %s for a timeline", (number) => {
  expect(() => timelineId(number)).toThrow(`"${number}" is not a timeline`);
});

test.each(["", "1", "0000000a", "000000001", "0000000G", "00000000"])("refuses %j", (text) => {
  expect(() => parseTimelineHex(text)).toThrow("is not a timeline");
});

test("reads and writes system identifiers beyond what a JSON number holds", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), (value) => {
      expect(parseSystemIdentifier(formatSystemIdentifier(systemIdentifier(value)))).toBe(value);
    }),
  );
});

test.each(["", "0", "-5", "12a", "0x10", "18446744073709551616", "1 "])(
  "refuses system identifier %j",
  (text) => {
    expect(() => parseSystemIdentifier(text)).toThrow("is not a system identifier");
  },
);
