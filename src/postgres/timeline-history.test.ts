import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lsn, parseLsn } from "./lsn.ts";
import { supportedMajors } from "./majors.ts";
import { readFixture } from "./testing/fixtures.ts";
import {
  ancestorsOf,
  extendTimelineHistory,
  formatTimelineHistory,
  historyContains,
  parseTimelineHistory,
  switchPointOf,
  timelineAtLsn,
  timelinesForSegment,
  type TimelineHistory,
} from "./timeline-history.ts";
import { timelineId } from "./timeline.ts";

const mib = 2 ** 20;

describe.each(supportedMajors)("the history files of PostgreSQL %i", (major) => {
  test("are read, and written back byte for byte", async () => {
    const second = (await readFixture(major, "00000002.history")).toString();
    const third = (await readFixture(major, "00000003.history")).toString();

    const history = parseTimelineHistory(timelineId(3), third);

    expect(history.entries.map(({ parentTimeline }) => parentTimeline)).toEqual([1, 2]);
    expect(history.entries[1]?.reason).toBe("no recovery target specified");
    expect(history.entries[0]).toEqual(parseTimelineHistory(timelineId(2), second).entries[0]);
    expect(formatTimelineHistory(history)).toBe(third);
    expect(formatTimelineHistory(parseTimelineHistory(timelineId(2), second))).toBe(second);
  });
});

test("skips comments and empty lines, takes any white space, and ignores the rest of a line", () => {
  const text =
    "\n  # a note\n# 7\t0/1\tnot this\n \t 1 \t0/16000000 before 2026\r\n2\t1/0\n 5 0x2/0XAB\tx\ty\n";

  expect(parseTimelineHistory(timelineId(6), text).entries).toEqual([
    { parentTimeline: 1, switchLsn: 0x1600_0000n, reason: "before 2026" },
    { parentTimeline: 2, switchLsn: 0x1_0000_0000n, reason: "" },
    { parentTimeline: 5, switchLsn: 0x2_0000_00abn, reason: "x\ty" },
  ]);
});

test("takes an empty file for a timeline without ancestors", () => {
  expect(parseTimelineHistory(timelineId(4), "")).toEqual({ timeline: 4, entries: [] });
});

test.each([
  ["hello", `line "hello" does not start with a timeline`],
  ["0\t0/1\tx", `line "0\t0/1\tx" does not start with a timeline`],
  ["4294967296\t0/1\tx", `line "4294967296\t0/1\tx" does not start with a timeline`],
  ["1", `line "1" has no switch position`],
  ["10/3", `line "10/3" has no switch position`],
  ["1\tx", `line "1\tx" has no switch position`],
  ["1\t0/", `line "1\t0/" has no switch position`],
  ["1\t0/100000000", `line "1\t0/100000000" has no valid switch position`],
  ["2\t0/1\n1\t0/2", "timeline 1 follows timeline 2, but timelines must rise"],
  ["1\t0/1\n1\t0/2", "timeline 1 follows timeline 1, but timelines must rise"],
  ["8\t0/1", "its parent 8 is not older than itself"],
  ["9\t0/1", "its parent 9 is not older than itself"],
])("refuses %j", (text, reason) => {
  expect(() => parseTimelineHistory(timelineId(8), text)).toThrow(
    `the history file of timeline 8 is invalid: ${reason}`,
  );
});

test("reads back what it writes", () => {
  const history = extendTimelineHistory(
    extendTimelineHistory(
      { timeline: timelineId(1), entries: [] },
      timelineId(4),
      parseLsn("0/16B374D8"),
      "one",
    ),
    timelineId(9),
    parseLsn("A/0"),
    "two",
  );

  expect(formatTimelineHistory(history)).toBe("1\t0/16B374D8\tone\n\n4\tA/0\ttwo\n");
  expect(parseTimelineHistory(timelineId(9), formatTimelineHistory(history))).toEqual(history);
});

function historyOf(
  timeline: number,
  ...switches: readonly [parent: number, position: bigint][]
): TimelineHistory {
  return {
    timeline: timelineId(timeline),
    entries: switches.map(([parent, position]) => ({
      parentTimeline: timelineId(parent),
      switchLsn: lsn(position),
      reason: "",
    })),
  };
}

test("divides the WAL stream among the timelines, the newest open-ended", () => {
  const history = historyOf(5, [1, 100n], [3, 250n]);

  expect(ancestorsOf(history)).toEqual([
    { timeline: 1, startLsn: 0n, endLsn: 100n },
    { timeline: 3, startLsn: 100n, endLsn: 250n },
    { timeline: 5, startLsn: 250n, endLsn: undefined },
  ]);
  expect([0n, 99n, 100n, 249n, 250n, 999n].map((at) => timelineAtLsn(history, lsn(at)))).toEqual([
    1, 1, 3, 3, 5, 5,
  ]);
  expect(switchPointOf(history, timelineId(3))).toBe(250n);
  expect(switchPointOf(history, timelineId(5))).toBeUndefined();
  expect([1, 2, 3, 4, 5].filter((timeline) => historyContains(history, timelineId(timeline)))).toEqual([
    1, 3, 5,
  ]);
});

test("a timeline left before it began contributes nothing", () => {
  expect(ancestorsOf(historyOf(3, [1, 500n], [2, 300n]))).toEqual([
    { timeline: 1, startLsn: 0n, endLsn: 300n },
    { timeline: 3, startLsn: 300n, endLsn: undefined },
  ]);
});

test("a timeline of its own needs no history", () => {
  expect(ancestorsOf(historyOf(1))).toEqual([{ timeline: 1, startLsn: 0n, endLsn: undefined }]);
  expect(timelineAtLsn(historyOf(1), lsn(7n))).toBe(1);
});

/** `tliOfPointInHistory`, word for word: the newest entry whose begin and end enclose the position. */
function timelineAsPostgresFindsIt(history: TimelineHistory, position: bigint): number | undefined {
  const { entries } = history;
  const all = [...entries.map((entry) => entry.parentTimeline), history.timeline].map((timeline, index) => ({
    timeline,
    begin: entries[index - 1]?.switchLsn ?? 0n,
    end: entries[index]?.switchLsn ?? 0n,
  }));
  return all.findLast(
    ({ begin, end }) => (begin === 0n || begin <= position) && (end === 0n || position < end),
  )?.timeline;
}

test("finds the timeline of a position as PostgreSQL does, whatever the order of the switches", () => {
  const histories = fc
    .array(fc.bigInt({ min: 1n, max: 30n }), { maxLength: 6 })
    .map((switches) =>
      historyOf(switches.length + 1, ...switches.map((at, index) => [index + 1, at] as [number, bigint])),
    );
  fc.assert(
    fc.property(histories, fc.bigInt({ min: 0n, max: 31n }), (history, position) => {
      const spans = ancestorsOf(history);

      expect(timelineAtLsn(history, lsn(position))).toBe(timelineAsPostgresFindsIt(history, position));
      expect(spans[0]?.startLsn).toBe(0n);
      for (const [index, span] of spans.entries()) expect(spans[index + 1]?.startLsn).toBe(span.endLsn);
    }),
    { numRuns: 1000 },
  );
});

test("asks for a segment under the timelines that had begun, newest first", () => {
  const history = historyOf(3, [1, BigInt(5 * mib) + 100n], [2, BigInt(8 * mib)]);
  const asked = (segmentNumber: bigint) => timelinesForSegment(history, segmentNumber, mib);

  expect([4n, 5n, 7n, 8n].map(asked)).toEqual([[1], [2, 1], [2, 1], [3, 2, 1]]);
});
