import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

test.each([
  ["instancess", "instances"],
  ["Instances", "instances"],
  ["isntances", "instances"],
  ["pluginsConfig", undefined],
  ["xyz", undefined],
])("%s is near %s", (text, expected) => {
  expect(nearest(text, ["instances", "imageName", "plugins"])).toBe(expected);
});
