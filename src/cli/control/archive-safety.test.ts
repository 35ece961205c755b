import { expect, test } from "vitest";
import { archiveProblems } from "./archive-safety.ts";

const archiving = (status: string, message: string) => ({
  firstRecoverabilityPoint: "2026-11-21T12:00:00Z",
  conditions: [{ type: "ContinuousArchiving", status, reason: "", message }],
});

test("a store in trouble is a problem, also where the archive policy is met without it, and is told once", () => {
  const stores = [{ name: "near" }, { name: "far", error: "no such bucket" }];

  expect(archiveProblems(archiving("True", "it works, but not in far: no such bucket"), stores)).toEqual([
    'store "far" is in trouble: no such bucket',
  ]);
  expect(archiveProblems(archiving("False", 'store "far": no such bucket'), stores)).toEqual([
    'archiving fails: store "far": no such bucket',
  ]);
  expect(archiveProblems(archiving("True", "it works"), stores.slice(0, 1))).toEqual([]);
});
