import { expect, test } from "vitest";
import { ageOf, formatAge } from "./age.ts";

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000] as const;

test.each([
  [-5, "0s"],
  [0, "0s"],
  [119 * second + 999, "119s"],
  [2 * minute, "2m"],
  [9 * minute + 59 * second, "9m59s"],
  [10 * minute + 5 * second, "10m"],
  [179 * minute, "179m"],
  [3 * hour, "3h"],
  [7 * hour + 59 * minute, "7h59m"],
  [8 * hour + 59 * minute, "8h"],
  [47 * hour, "47h"],
  [48 * hour, "2d"],
  [7 * day + 23 * hour, "7d23h"],
  [8 * day + 23 * hour, "8d"],
  [729 * day, "729d"],
  [730 * day, "2y"],
  [2 * 365 * day + 40 * day, "2y40d"],
  [9 * 365 * day, "9y"],
])("%i ms are %s, as kubectl tells ages", (ms, expected) => {
  expect(formatAge(ms)).toBe(expected);
});

test("an age of nothing is nothing", () => {
  const now = new Date("2026-11-21T10:00:00Z");

  expect(ageOf("2026-11-21T09:58:30Z", now)).toBe("90s");
  expect(ageOf(undefined, now)).toBe("");
  expect(ageOf("", now)).toBe("");
  expect(ageOf("yesterday", now)).toBe("<invalid>");
});
