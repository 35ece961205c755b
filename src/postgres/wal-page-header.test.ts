import { beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { majorFacts, supportedMajors } from "./majors.ts";
import { parseSystemIdentifier, systemIdentifier } from "./system-identifier.ts";
import { fixtureNames, readFixture, readFixtureFacts } from "./testing/fixtures.ts";
import { parseWalSegmentName, segmentStartLsn, timelineOfSegment } from "./wal-file-name.ts";
import {
  checkSegmentHeader,
  majorForPageMagic,
  parseWalPageHeader,
  type ExpectedSegment,
} from "./wal-page-header.ts";

describe.each(supportedMajors)("segments of PostgreSQL %i", (major) => {
  test("say where they belong, those at the start of a timeline with the timeline they were copied from", async () => {
    const { segmentSizeBytes, pg_control } = await readFixtureFacts(major);
    const identifier = parseSystemIdentifier(String(pg_control.system["system_identifier"]));
    const names = (await fixtureNames(major)).filter((name) => /^[0-9A-F]{24}$/.test(name));

    expect(names).toHaveLength(3);
    for (const name of names.map(parseWalSegmentName)) {
      const page = await readFixture(major, name);
      const timeline = timelineOfSegment(name);

      expect(parseWalPageHeader(page)).toMatchObject({
        magic: majorFacts[major].walPageMagic,
        timeline: Math.max(1, timeline - 1),
        pageAddress: segmentStartLsn(name, segmentSizeBytes),
        systemIdentifier: identifier,
        segmentSizeBytes,
        blockSizeBytes: 8192,
      });
      expect(() => {
        checkSegmentHeader(page, { name, systemIdentifier: identifier, fileSizeBytes: segmentSizeBytes });
      }).not.toThrow();
    }
  });
});

test("knows no major for another magic number", () => {
  expect(majorForPageMagic(0xd118)).toBe(18);
  expect(majorForPageMagic(0xd107)).toBeUndefined();
});

describe("a file that is not the segment its name says", () => {
  const name = parseWalSegmentName("000000020000000000000005");
  const size = 16 * 2 ** 20;
  let page: Buffer;
  let expected: ExpectedSegment;

  beforeAll(async () => {
    page = await readFixture(16, name);
    const { pg_control } = await readFixtureFacts(16);
    const identifier = parseSystemIdentifier(String(pg_control.system["system_identifier"]));
    expected = { name, systemIdentifier: identifier, fileSizeBytes: size };
  });

  function reasonFor(bytes: Uint8Array, different: Partial<ExpectedSegment> = {}): string {
    try {
      checkSegmentHeader(bytes, { ...expected, ...different });
    } catch (error) {
      if (error instanceof EngineError && error.code === "wal-refused") return error.message;
      throw error;
    }
    return "accepted";
  }

  function changed(change: (bytes: Buffer) => void): Buffer {
    const copy = Buffer.from(page);
    change(copy);
    return copy;
  }

  const refused = (segment: string, reason: string) => `refused WAL segment "${segment}": ${reason}`;

  test("is accepted from any cluster when none is named", () => {
    expect(() => {
      checkSegmentHeader(page, { name, fileSizeBytes: size });
    }).not.toThrow();
  });

  test("is refused when it is not WAL", () => {
    expect(reasonFor(Buffer.from("x".repeat(8192)))).toBe(
      refused(name, "it does not start as WAL of a supported version does (page magic 7878)"),
    );
    expect(reasonFor(Buffer.alloc(8192))).toBe(refused(name, "its first page is all zeros"));
    expect(reasonFor(page.subarray(0, 39))).toBe(refused(name, "it has only 39 bytes"));
    expect(reasonFor(new Uint8Array())).toBe(refused(name, "it has only 0 bytes"));
    expect(reasonFor(changed((bytes) => bytes.writeUInt16LE(0, 2)))).toBe(
      refused(name, "its first page does not have the header of a segment"),
    );
  });

  test("is refused when another cluster wrote it", () => {
    expect(reasonFor(page, { systemIdentifier: systemIdentifier(5n) })).toBe(
      refused(name, `it was written by system ${expected.systemIdentifier}, but this is 5`),
    );
  });

  test("is refused when it is not whole", () => {
    expect(reasonFor(page, { fileSizeBytes: 8192 })).toBe(
      refused(name, "it has 8192 bytes, but its header says 16777216"),
    );
    expect(reasonFor(changed((bytes) => bytes.writeUInt32LE(5, 32)))).toBe(
      refused(name, "its header gives a segment size of 5 bytes, which cannot be"),
    );
  });

  test("is refused under another name", () => {
    expect(reasonFor(page, { name: parseWalSegmentName("000000020000000000000006") })).toBe(
      refused("000000020000000000000006", "its first page is for 0/5000000, but its name says 0/6000000"),
    );
    expect(reasonFor(page, { name: parseWalSegmentName("000000020000000000000105") })).toBe(
      refused("000000020000000000000105", "no segment of 16777216 bytes has this name"),
    );
  });

  test("is refused when its pages are of a later timeline than its name", () => {
    expect(reasonFor(changed((bytes) => bytes.writeUInt32LE(3, 4)))).toBe(
      refused(name, "its first page is of timeline 3, but its name says 2"),
    );
    expect(reasonFor(changed((bytes) => bytes.writeUInt32LE(2, 4)))).toBe("accepted");
    expect(reasonFor(changed((bytes) => bytes.writeUInt32LE(0, 4)))).toContain("timeline 0");
  });
});
