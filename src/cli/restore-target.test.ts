import { describe, expect, it } from "vitest";
import { parseTarget, parseTimeline, type TargetOptions } from "./restore-target.ts";

describe("restore targets", () => {
  it.each<[TargetOptions, object]>([
    [{}, { kind: "latest" }],
    [{ toLatest: true }, { kind: "latest" }],
    [{ toImmediate: true }, { kind: "immediate" }],
    [{ toLsn: "16/B374D848" }, { kind: "lsn", lsn: 0x16b374d848n, inclusive: true }],
    [
      { toXid: "745", exclusive: true },
      { kind: "xid", xid: "745", inclusive: false },
    ],
    [{ toName: "before upgrade" }, { kind: "name", name: "before upgrade" }],
    [
      { toTime: "2026-11-21T15:30:00+01:00" },
      { kind: "time", time: "2026-11-21 14:30:00.000000+00:00", inclusive: true },
    ],
  ])("reads %j", (options, target) => {
    expect(parseTarget(options).target).toEqual(target);
  });

  it("says so when it reads a time without a zone as UTC", () => {
    expect(parseTarget({ toTime: "2026-11-21 14:30:00" }).notes).toEqual([
      '"2026-11-21 14:30:00" has no time zone and was read as UTC: 2026-11-21 14:30:00.000000+00:00',
    ]);
    expect(parseTarget({ toTime: "2026-11-21 14:30:00+00" }).notes).toEqual([]);
  });

  it.each<[TargetOptions, string]>([
    [{ toLatest: true, toLsn: "0/1" }, "--to-latest and --to-lsn exclude each other"],
    [{ exclusive: true }, "--exclusive needs --to-time, --to-lsn or --to-xid"],
    [{ toName: "x", exclusive: true }, "--exclusive needs --to-time, --to-lsn or --to-xid"],
    [{ toLsn: "12345" }, '--to-lsn is "12345", which is not an LSN'],
  ])("refuses %j", (options, message) => {
    expect(() => parseTarget(options)).toThrow(message);
  });

  it("takes a timeline in decimal, as PostgreSQL does", () => {
    expect(parseTimeline(undefined)).toBe("latest");
    expect(parseTimeline("latest")).toBe("latest");
    expect(parseTimeline("12")).toBe(12);
    for (const text of ["0", "-1", "x", "4294967296"]) {
      expect(() => parseTimeline(text)).toThrow(`--timeline is "${text}"`);
    }
  });

  it("counts a time that is none as a mistake on the command line", () => {
    expect(() => parseTarget({ toTime: "yesterday" })).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
