import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatRetentionPolicy, parseRetentionPolicy, windowStart } from "./retention-policy.ts";

const now = new Date("2026-11-21T12:00:00Z");

describe("a retention policy", () => {
  test.each([
    ["30d", "RECOVERY WINDOW OF 30 DAYS", "2026-10-22T12:00:00.000Z"],
    ["4w", "RECOVERY WINDOW OF 4 WEEKS", "2026-10-24T12:00:00.000Z"],
    // A month has 31 days, whatever the calendar says.
    ["1m", "RECOVERY WINDOW OF 1 MONTHS", "2026-10-21T12:00:00.000Z"],
    ["6m", "RECOVERY WINDOW OF 6 MONTHS", "2026-05-19T12:00:00.000Z"],
    ["RECOVERY WINDOW OF 30 DAYS", "RECOVERY WINDOW OF 30 DAYS", "2026-10-22T12:00:00.000Z"],
    ["recovery  window of 1 Day", "RECOVERY WINDOW OF 1 DAYS", "2026-11-20T12:00:00.000Z"],
    ["Recovery Window Of 2 weeks", "RECOVERY WINDOW OF 2 WEEKS", "2026-11-07T12:00:00.000Z"],
  ])("%s is %s and begins at %s", (text, long, start) => {
    const policy = parseRetentionPolicy(text);

    expect(formatRetentionPolicy(policy)).toBe(long);
    expect(windowStart(policy, now).toISOString()).toBe(start);
  });

  test.each([
    "",
    "0d",
    "30",
    "d",
    "30 d",
    "1.5d",
    "-1d",
    "30D",
    "30y",
    "REDUNDANCY 3",
    "RECOVERY WINDOW OF 0 DAYS",
  ])('refuses "%s"', (text) => {
    expect(() => parseRetentionPolicy(text)).toThrow(
      expect.objectContaining({ code: "usage", message: `"${text}" is not a retention policy` }),
    );
  });

  test("a window longer than time itself begins at its beginning", () => {
    expect(windowStart(parseRetentionPolicy("900000d"), now).getTime()).toBe(0);
    expect(() => parseRetentionPolicy("99999999999999999999m")).toThrow("is not a retention policy");
  });

  test("is the same after it was written and read again", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.constantFrom("d", "w", "m"), (count, unit) => {
        const policy = parseRetentionPolicy(`${count}${unit}`);

        expect(parseRetentionPolicy(formatRetentionPolicy(policy))).toEqual(policy);
      }),
    );
  });
});
