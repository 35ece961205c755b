import { expect, test } from "vitest";
import { mib } from "../../common/units.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { TimelineHistory } from "../../postgres/timeline-history.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { ownSegments, planRescue } from "./plan-rescue.ts";

const name = (timeline: number, segment: number) =>
  `0000000${timeline}00000000000000${segment.toString(16).toUpperCase().padStart(2, "0")}`;
const first: TimelineHistory = { timeline: timelineId(1), entries: [] };

const plan = (given: {
  readonly names: readonly string[];
  readonly statusNames?: readonly string[];
  readonly valid?: readonly string[];
  readonly history?: TimelineHistory;
  readonly position?: string;
  readonly received?: string;
}) =>
  planRescue(
    {
      names: given.names,
      statusNames: given.statusNames ?? [],
      valid: new Set(given.valid ?? given.names),
      history: given.history ?? first,
    },
    {
      replayed: parseLsn(given.position ?? "0/5000028"),
      received: parseLsn(given.received ?? given.position ?? "0/5000028"),
    },
    16 * mib,
  );

test("the chain begins at the standby's position and ends before the first segment that was recycled and not yet written", () => {
  const names = [4, 5, 6, 7, 8].map((segment) => name(1, segment));

  const { chain } = plan({ names, valid: names.slice(0, 4) });

  expect(chain).toEqual([name(1, 5), name(1, 6), name(1, 7)]);
});

test("a segment that exists on two timelines is taken from the newer one", () => {
  const history: TimelineHistory = {
    timeline: timelineId(2),
    entries: [{ parentTimeline: timelineId(1), switchLsn: parseLsn("0/6000100"), reason: "" }],
  };
  const names = [name(1, 5), name(1, 6), name(2, 6), name(2, 7)];

  expect(plan({ names, history }).chain).toEqual([name(1, 5), name(2, 6), name(2, 7)]);
});

test("a hole ends the chain, and a standby that has everything needs nothing", () => {
  expect(plan({ names: [name(1, 5), name(1, 7)] }).chain).toEqual([name(1, 5)]);
  expect(plan({ names: [name(1, 4)] }).chain).toEqual([]);
});

test("what a standby has received and not yet replayed does not have to be on the primary any more", () => {
  const names = [8, 9, 10].map((segment) => name(1, segment));

  expect(plan({ names, received: "0/8000100" }).chain).toEqual(names);
  expect(plan({ names, received: "0/A000000" }).chain).toEqual(names);
  expect(plan({ names, received: "0/8000000" }).chain).toEqual(names);
  expect(plan({ names, received: "0/B000000" }).chain).toEqual(names);
});

test("unarchived is what is marked so, what lies unmarked between marks, and what follows in the chain but for the last", () => {
  const names = ["00000002.history", ...[2, 3, 4, 5, 6, 7].map((segment) => name(1, segment))];
  const statusNames = [`${name(1, 2)}.done`, `${name(1, 4)}.ready`, "00000002.history.ready"];

  const { unarchived } = plan({ names, statusNames });

  expect(unarchived).toEqual([name(1, 3), name(1, 4), name(1, 5), name(1, 6), "00000002.history"]);
});

test("of its own WAL a standby gives what lies before its position, each segment of the newest timeline that has it", () => {
  const history: TimelineHistory = {
    timeline: timelineId(2),
    entries: [{ parentTimeline: timelineId(1), switchLsn: parseLsn("0/4000100"), reason: "" }],
  };
  const valid = new Set([name(1, 3), name(1, 4), name(2, 4), name(2, 5), name(2, 6), name(1, 7)]);

  expect(ownSegments({ valid, history }, parseLsn("0/6000028"), 16 * mib)).toEqual([
    name(1, 3),
    name(2, 4),
    name(2, 5),
  ]);
});
