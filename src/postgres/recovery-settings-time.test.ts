import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalTime,
  isCanonicalTime,
  parseTargetTime,
  targetTimeMicros,
} from "./recovery-settings-time.ts";

describe("a target time", () => {
  test.each([
    ["2026-01-15 14:30:00", "2026-01-15 14:30:00.000000+00:00", false],
    ["2026-01-15T14:30:00", "2026-01-15 14:30:00.000000+00:00", false],
    ["2026-01-15T14:30:00Z", "2026-01-15 14:30:00.000000+00:00", true],
    ["2026-01-15T14:30:00z", "2026-01-15 14:30:00.000000+00:00", true],
    ["2026-01-15T14:30:00.5Z", "2026-01-15 14:30:00.500000+00:00", true],
    ["2026-01-15 14:30:00.123456+00", "2026-01-15 14:30:00.123456+00:00", true],
    ["2026-01-15T14:30:00.123456000Z", "2026-01-15 14:30:00.123456+00:00", true],
    ["2026-01-15 14:30:00+02", "2026-01-15 12:30:00.000000+00:00", true],
    ["2026-01-15 14:30:00 +02:00", "2026-01-15 12:30:00.000000+00:00", true],
    ["2026-01-15 14:30:00+0530", "2026-01-15 09:00:00.000000+00:00", true],
    ["2026-01-15 23:30:00-01:30", "2026-01-16 01:00:00.000000+00:00", true],
    ["2026-01-01 00:30:00.000001+01", "2025-12-31 23:30:00.000001+00:00", true],
    ["2024-02-29 00:00:00Z", "2024-02-29 00:00:00.000000+00:00", true],
    [" 2026-01-15 14:30:00Z ", "2026-01-15 14:30:00.000000+00:00", true],
  ])("%s is %s", (text, canonical, hadZone) => {
    expect(parseTargetTime(text)).toEqual({ canonical, hadZone });
  });

  test.each([
    "2026-13-01 00:00:00",
    "2026-02-29 00:00:00",
    "2026-02-31 00:00:00Z",
    "2026-00-10 00:00:00",
    "2026-01-15 24:00:00",
    "2026-01-15 14:60:00",
    "2026-01-15 14:30:60",
    "2026-01-15 14:30",
    "2026-01-15",
    "2026-01-15 14:30:00+16",
    "2026-01-15 14:30:00+02:60",
    "2026-01-15 14:30:00.1234567Z",
    "2026-01-15 14:30:00 UTC",
    "2026-01-15 14:30:00 Europe/Berlin",
    "9999-12-31 23:59:59-01",
    "now",
    "yesterday",
    "1768487400",
    "",
  ])("%j is refused", (text) => {
    expect(() => parseTargetTime(text)).toThrowError(
      expect.objectContaining({ code: "usage", message: `"${text}" is not a time` }),
    );
  });

  const times = fc.date({
    min: new Date("1970-01-01T00:00:00Z"),
    max: new Date("9998-12-31T00:00:00Z"),
    noInvalidDate: true,
  });

  test("the canonical form reads as itself, and counts the microseconds since 1970", () => {
    fc.assert(
      fc.property(times, (date) => {
        const text = canonicalTime(date);
        expect(parseTargetTime(text)).toEqual({ canonical: text, hadZone: true });
        expect(isCanonicalTime(text)).toBe(true);
        expect(targetTimeMicros(text)).toBe(BigInt(date.getTime()) * 1000n);
      }),
    );
  });

  test("order of text is order of time", () => {
    fc.assert(
      fc.property(times, times, (a, b) => {
        expect(canonicalTime(a) < canonicalTime(b)).toBe(a.getTime() < b.getTime());
      }),
    );
  });

  test("an offset moves the clock and not the moment", () => {
    fc.assert(
      fc.property(
        times,
        fc.integer({ min: -15 * 60 - 59, max: 15 * 60 + 59 }),
        fc.constantFrom("", ":"),
        (date, offset, colon) => {
          const shifted = new Date(date.getTime() + offset * 60_000);
          fc.pre(shifted.getTime() >= 0);
          const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, "0");
          const minutes = String(Math.abs(offset) % 60).padStart(2, "0");
          const zone = `${offset < 0 ? "-" : "+"}${hours}${colon}${minutes}`;
          const text = shifted.toISOString().replace("Z", zone);
          expect(parseTargetTime(text).canonical).toBe(canonicalTime(date));
        },
      ),
    );
  });
});

test.each(["2026-01-15 14:30:00", "2026-13-15 14:30:00.000000+00:00", "2026-01-15 14:30:00.000000+01:00"])(
  "%s is not in canonical form",
  (text) => {
    expect(isCanonicalTime(text)).toBe(false);
  },
);
