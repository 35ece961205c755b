import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextTime, nextTimes, parseCronSchedule, parseGoDuration } from "./cron-schedule.ts";

function times(text: string, count: number, after = "2026-01-01T00:00:00Z"): readonly string[] {
  const parsed = parseCronSchedule(text);
  if ("error" in parsed) throw new Error(parsed.error);
  return nextTimes(parsed.schedule, new Date(after), count).map((time) =>
    time.toISOString().slice(0, 19).replace("T", " "),
  );
}

describe("what CloudNativePG does with a schedule", () => {
  test.each([
    ["0 0 * * *", "hourly", ["2026-01-01 01:00:00", "2026-01-01 02:00:00"]],
    ["0 3 * * *", "every hour at minute 3", ["2026-01-01 00:03:00", "2026-01-01 01:03:00"]],
    ["0 */6 * * *", "every six minutes", ["2026-01-01 00:06:00", "2026-01-01 00:12:00"]],
    ["0 1 1 * *", "daily at 01:01:00", ["2026-01-01 01:01:00", "2026-01-02 01:01:00"]],
    ["0 2 * * 1", "hourly at minute 2, in January", ["2026-01-01 00:02:00", "2026-01-01 01:02:00"]],
    ["0 0 2 * * 0", "Sundays at 02:00", ["2026-01-04 02:00:00", "2026-01-11 02:00:00"]],
    ["0 0 */6 * * *", "every six hours", ["2026-01-01 06:00:00", "2026-01-01 12:00:00"]],
    ["30 15 10 1 JAN,jul ?", "names of months", ["2026-01-01 10:15:30", "2026-07-01 10:15:30"]],
    ["0 0 0 13 * FRI", "either day", ["2026-01-02 00:00:00", "2026-01-09 00:00:00", "2026-01-13 00:00:00"]],
    ["0 0 0 13 * *", "a star in the week restricts nothing", ["2026-01-13 00:00:00", "2026-02-13 00:00:00"]],
    ["0 0 0 */10 * MON", "a star with a step is a star", ["2026-05-11 00:00:00", "2026-06-01 00:00:00"]],
    ["0 5/20 8-9 * * *", "from five to the end, by twenty", ["2026-01-01 08:05:00", "2026-01-01 08:25:00"]],
    ["0 0 0 29 2 *", "leap days", ["2028-02-29 00:00:00"]],
    ["@daily", "a descriptor", ["2026-01-02 00:00:00"]],
    ["@weekly", "a descriptor", ["2026-01-04 00:00:00"]],
    ["@every 1h30m", "from the last time on", ["2026-01-01 01:30:00", "2026-01-01 03:00:00"]],
    ["@every 10ms", "a second at least", ["2026-01-01 00:00:01", "2026-01-01 00:00:02"]],
  ])("%s: %s", (schedule, _meaning, expected) => {
    expect(times(schedule, expected.length)).toEqual(expected);
  });

  test("a day that does not exist never comes", () => {
    expect(times("0 0 0 31 2 *", 1)).toEqual([]);
  });
});

test.each([
  ["0 2 * * 0", /month "0": 0 is below 1/],
  ["0 0 0 * * 7", /day of week "7": 7 is above 6/],
  ["0 0 0 L * *", /day of month "L"/],
  ["* * * *", /it has 4 fields/],
  ["", /it has 0 fields/],
  ["0 0 0 * * * *", /it has 7 fields/],
  ["TZ=UTC 0 0 0 * * *", /it has 7 fields/],
  ["0 0 5-3 * * *", /beyond the end/],
  ["0 */0 * * * *", /step is not a positive number/],
  ["@fortnightly", /"@fortnightly" is not known/],
  ["@every soon", /"soon" is not a duration/],
])("%j is refused", (schedule, message) => {
  expect(parseCronSchedule(schedule)).toEqual({ error: expect.stringMatching(message) });
});

test("durations are Go's", () => {
  expect(["6h", "1h30m", "90s", "1.5h", "100ms", "6", "h", ""].map(parseGoDuration)).toEqual([
    21_600_000,
    5_400_000,
    90_000,
    5_400_000,
    100,
    undefined,
    undefined,
    undefined,
  ]);
});

test("the next time is after, and is one that the schedule allows; none lies between", () => {
  const field = (low: number, high: number) =>
    fc.oneof(fc.constant("*"), fc.integer({ min: low, max: high }).map(String));
  fc.assert(
    fc.property(
      fc.tuple(field(0, 59), field(0, 59), field(0, 23)),
      fc.date({ min: new Date("2026-01-01"), max: new Date("2026-12-31"), noInvalidDate: true }),
      ([second, minute, hour], after) => {
        const parsed = parseCronSchedule(`${second} ${minute} ${hour} * * *`);
        if ("error" in parsed) throw new Error(parsed.error);
        const next = nextTime(parsed.schedule, after);
        let at = new Date(Math.floor(after.getTime() / 1000) * 1000 + 1000);
        const fits = (text: string, value: number): boolean => text === "*" || Number(text) === value;
        while (
          !fits(second, at.getUTCSeconds()) ||
          !fits(minute, at.getUTCMinutes()) ||
          !fits(hour, at.getUTCHours())
        ) {
          at = new Date(at.getTime() + 1000);
        }
        expect(next).toEqual(at);
      },
    ),
    { numRuns: 50 },
  );
});
