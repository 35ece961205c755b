import fc from "fast-check";
import { expect, test } from "vitest";
import { lsn, parseLsn } from "./lsn.ts";
import { timelineId } from "./timeline.ts";
import {
  isValidForSegmentSize,
  isWalSegmentSize,
  lastSegmentBefore,
  nextSegmentName,
  parseWalFileName,
  parseWalSegmentName,
  segmentContaining,
  segmentNumberOf,
  segmentsBetween,
  segmentStartLsn,
  timelineHistoryFileName,
  timelineOfSegment,
  walSegmentName,
} from "./wal-file-name.ts";

const mib = 2 ** 20;
const segmentSizes = fc.integer({ min: 20, max: 30 }).map((power) => 2 ** power);
const timelines = fc.integer({ min: 1, max: 2 ** 32 - 1 }).map(timelineId);
const positions = fc.bigInt({ min: 1n, max: 2n ** 64n - 2n ** 31n }).map(lsn);

test("tells the four kinds of file apart", () => {
  const segment = "0000000A0000001600000080";

  expect(parseWalFileName(segment)).toEqual({ kind: "segment", name: segment, segment, timeline: 10 });
  expect(parseWalFileName(`${segment}.partial`)).toEqual({
    kind: "partial",
    name: `${segment}.partial`,
    segment,
    timeline: 10,
  });
  expect(parseWalFileName(`${segment}.00000028.backup`)).toEqual({
    kind: "backup-label",
    name: `${segment}.00000028.backup`,
    segment,
    timeline: 10,
    offset: 40,
  });
  expect(parseWalFileName("0000000A.history")).toEqual({
    kind: "history",
    name: "0000000A.history",
    timeline: 10,
  });
});

test.each([
  "",
  "0000000A000000160000008",
  "0000000A00000016000000800",
  "0000000a0000001600000080",
  "0000000A0000001600000080.gz",
  "0000000A0000001600000080.partial.gz",
  "0000000A0000001600000080.28.backup",
  "0000000A0000001600000080.0000002G.backup",
  "0000000A.history\n",
  "A.history",
  "00000000.history",
  "000000000000001600000080",
  "../0000000A0000001600000080",
  "pg_wal/0000000A.history",
  "archive_status",
])("takes %j for no WAL file", (name) => {
  expect(parseWalFileName(name)).toBeUndefined();
  expect(() => parseWalSegmentName(name)).toThrow("is not the name of a WAL segment");
});

test("knows the segment sizes of initdb", () => {
  const sizes = Array.from({ length: 40 }, (_, power) => 2 ** power).filter(isWalSegmentSize);

  expect(sizes).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((size) => size * mib));
  expect([0, -mib, 3 * mib, mib + 1, Number.NaN].some(isWalSegmentSize)).toBe(false);
});

test.each([
  [16 * mib, "16/B374D848", "0000000100000016000000B3"],
  [16 * mib, "0/FFFFFFFF", "0000000100000000000000FF"],
  [16 * mib, "1/0", "000000010000000100000000"],
  [1 * mib, "16/B374D848", "000000010000001600000B37"],
  [1024 * mib, "16/B374D848", "000000010000001600000002"],
])("with segments of %i bytes, %s lies in %s", (size, position, name) => {
  expect(segmentContaining(parseLsn(position), timelineId(1), size)).toBe(name);
});

test.each([
  [16 * mib, "0000000100000000000000FF", "000000010000000000000100"],
  [1 * mib, "000000010000000000000FFF", "000000010000000000001000"],
  [1024 * mib, "000000010000000000000003", "000000010000000000000004"],
])("with segments of %i bytes, %s can exist and %s cannot", (size, last, beyond) => {
  const name = parseWalSegmentName(beyond);

  expect(isValidForSegmentSize(parseWalSegmentName(last), size)).toBe(true);
  expect(isValidForSegmentSize(name, size)).toBe(false);
  expect(() => segmentNumberOf(name, size)).toThrow(
    `WAL segment "${beyond}" cannot exist with segments of ${size} bytes`,
  );
});

test("a name and a number are the same thing, for every segment size", () => {
  fc.assert(
    fc.property(timelines, positions, segmentSizes, (timeline, position, size) => {
      const name = segmentContaining(position, timeline, size);
      const segmentNumber = segmentNumberOf(name, size);

      expect(parseWalSegmentName(name)).toBe(name);
      expect(timelineOfSegment(name)).toBe(timeline);
      expect(walSegmentName({ timeline, segmentNumber, segmentSizeBytes: size })).toBe(name);
      expect(isValidForSegmentSize(name, size)).toBe(true);
      expect(segmentStartLsn(name, size)).toBe(position - (position % BigInt(size)));
    }),
  );
});

test("a boundary belongs to the segment that starts there, and is the end of the one before", () => {
  fc.assert(
    fc.property(timelines, positions, segmentSizes, (timeline, position, size) => {
      const name = segmentContaining(position, timeline, size);
      const next = nextSegmentName(name, size);
      const boundary = segmentStartLsn(next, size);

      expect(segmentContaining(boundary, timeline, size)).toBe(next);
      expect(lastSegmentBefore(boundary, timeline, size)).toBe(name);
      expect(lastSegmentBefore(lsn(boundary + 1n), timeline, size)).toBe(next);
      expect(boundary - segmentStartLsn(name, size)).toBe(BigInt(size));
    }),
  );
});

test("names of one timeline sort as their positions do", () => {
  fc.assert(
    fc.property(positions, positions, segmentSizes, (one, other, size) => {
      const [first, second] = [one, other].map((position) =>
        segmentContaining(position, timelineId(7), size),
      );

      expect(first === second ? 0 : (first ?? "") < (second ?? "") ? -1 : 1).toBe(
        Math.sign(Number(one / BigInt(size) - other / BigInt(size))),
      );
    }),
  );
});

test("lists the segments between two, over the carry into the middle digits", () => {
  const first = parseWalSegmentName("0000000200000000000000FE");
  const last = parseWalSegmentName("000000020000000100000001");

  expect([...segmentsBetween(first, last, 16 * mib)]).toEqual([
    "0000000200000000000000FE",
    "0000000200000000000000FF",
    "000000020000000100000000",
    "000000020000000100000001",
  ]);
  expect([...segmentsBetween(last, last, 16 * mib)]).toEqual([last]);
  expect([...segmentsBetween(last, first, 16 * mib)]).toEqual([]);
});

test("refuses to list segments across timelines", () => {
  const other = parseWalSegmentName("000000030000000100000001");

  expect(() => [...segmentsBetween(parseWalSegmentName("000000020000000000000001"), other, mib)]).toThrow(
    "are on two timelines",
  );
});

test("names history files by their timeline", () => {
  expect(timelineHistoryFileName(timelineId(0x1f))).toBe("0000001F.history");
});
