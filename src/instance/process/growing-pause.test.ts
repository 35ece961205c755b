import { expect, test } from "vitest";
import { GrowingPause } from "./growing-pause.ts";

test("a pause doubles from a second to a minute, and begins anew after a minute of health or when told", () => {
  const pause = new GrowingPause();

  expect(Array.from({ length: 9 }, () => pause.afterFailure())).toEqual([
    1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000,
  ]);
  expect(pause.afterFailure(59_999)).toBe(60_000);
  expect(pause.afterFailure(60_000)).toBe(1000);
  expect(pause.afterFailure(10)).toBe(2000);
  pause.reset();
  expect(pause.afterFailure()).toBe(1000);
});
