import { expect, test } from "vitest";
import { formatLsn, parseLsn } from "../postgres/lsn.ts";
import { parseTimelineHistory } from "../postgres/timeline-history.ts";
import { timelineId } from "../postgres/timeline.ts";
import { inventoryOf, mib16 } from "./testing/plan-facts.ts";
import { forksAfter } from "./timeline-fork.ts";

const history = parseTimelineHistory(timelineId(3), "1\t0/3800000\tx\n2\t0/5800000\ty\n");
const forks = (ranges: readonly string[], position = "0/2000138") =>
  forksAfter(inventoryOf(ranges), history, {
    position: parseLsn(position),
    segmentSizeBytes: mib16,
  }).map(({ parent, child, switchLsn, childStoredAt }) => [
    `${parent} to ${child} at ${formatLsn(switchLsn)}`,
    childStoredAt?.toISOString(),
  ]);
const stored = "2026-11-21T12:00:00.000Z";

test("a fork is where the timeline that was left goes on in the archive", () => {
  expect(forks(["1:2-3", "2:3-5", "3:5-6"])).toEqual([
    ["1 to 2 at 0/3800000", stored],
    ["2 to 3 at 0/5800000", stored],
  ]);
  expect(forks(["1:2-9", "2:3-4", "3:6"])).toEqual([["1 to 2 at 0/3800000", stored]]);
  expect(forks(["1:2", "2:3-7"])).toEqual([["2 to 3 at 0/5800000", undefined]]);
});

test("a switch before the backup's end, and timelines that ended with it, are no forks", () => {
  expect(forks(["1:2-5", "2:3-5", "3:5-6"], "0/4000138")).toEqual([["2 to 3 at 0/5800000", stored]]);
  expect(forks(["1:2", "2:3-4", "3:5-6"])).toEqual([]);
});
