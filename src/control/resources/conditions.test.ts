import fc from "fast-check";
import { expect, test } from "vitest";
import { withCondition, type Condition } from "./conditions.ts";
import { toTimestamp } from "./timestamp.ts";

const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 20, 45, second, 987));
const ready = { type: "Ready", status: "True", reason: "Up", message: "it is up" } as const;
const archiving = { type: "Archiving", status: "False", reason: "Down", message: "it is down" } as const;

test("a condition is added behind the others, with the second in which it was found", () => {
  const conditions = withCondition(withCondition([], ready, at(1)), archiving, at(2));

  expect(conditions).toEqual([
    { ...ready, lastTransitionTime: "2026-11-21T20:45:01Z" },
    { ...archiving, lastTransitionTime: "2026-11-21T20:45:02Z" },
  ]);
});

test("a condition keeps its place, and its time until its status is another", () => {
  const before = withCondition(withCondition([], ready, at(1)), archiving, at(2));
  const explained = { ...ready, reason: "Well", message: "it is very well", observedGeneration: 2 };
  const later = withCondition(before, explained, at(3));
  const down = withCondition(later, { ...ready, status: "Unknown" }, at(4));

  expect(later).toEqual([{ ...explained, lastTransitionTime: "2026-11-21T20:45:01Z" }, before[1]]);
  expect(down).toEqual([
    { ...ready, status: "Unknown", lastTransitionTime: "2026-11-21T20:45:04Z" },
    before[1],
  ]);
  expect(before[0]).toEqual({ ...ready, lastTransitionTime: "2026-11-21T20:45:01Z" });
});

test("whatever comes one after the other, each type is there once, with the time of its last change of status", () => {
  const next = fc.record({
    type: fc.constantFrom("a", "b", "c"),
    status: fc.constantFrom("True", "False", "Unknown"),
    reason: fc.constantFrom("X", "Y"),
    message: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(next, { maxLength: 30 }), (all) => {
      let conditions: readonly Condition[] = [];
      all.forEach((one, second) => (conditions = withCondition(conditions, one, at(second))));

      expect(conditions.map(({ type }) => type)).toEqual([...new Set(all.map(({ type }) => type))]);
      for (const { lastTransitionTime, ...condition } of conditions) {
        const same = all
          .map((one, second) => ({ one, second }))
          .filter(({ one }) => one.type === condition.type);
        const last = same.findLastIndex(({ one }, index) => one.status !== same[index - 1]?.one.status);
        expect(condition).toEqual(same.at(-1)?.one);
        expect(lastTransitionTime).toBe(toTimestamp(at(same[last]!.second)));
      }
    }),
  );
});
