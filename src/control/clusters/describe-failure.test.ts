import { expect, test } from "vitest";
import { describeFailure } from "./describe-failure.ts";

test.each([
  [undefined, "it cannot be reached"],
  ["This is the earliest moment.", "it cannot be reached. This is the earliest moment."],
  ["Choose another backup with --backup.", "it cannot be reached"],
])("a failure with the hint %s", (hint, expected) => {
  const failure = { code: "target-unreachable", message: "it cannot be reached" };
  expect(describeFailure(hint === undefined ? failure : { ...failure, hint })).toBe(expected);
});
