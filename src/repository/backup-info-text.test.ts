import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { lsn } from "../postgres/lsn.ts";
import { timelineId } from "../postgres/timeline.ts";
import { segmentContaining } from "../postgres/wal-file-name.ts";
import type { FinishedBackupInfo } from "./backup-info.ts";
import { formatBackupInfo, parseBackupInfo } from "./backup-info-text.ts";

/** A whole file as Barman 3.4.0 wrote it for PostgreSQL 15.18, with one tablespace and a name. */
const barman34 = String.raw`backup_label='START WAL LOCATION: 0/60000D8 (file 000000010000000000000006)\nCHECKPOINT LOCATION: 0/6000110\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-21 09:07:27 UTC\nLABEL: Barman backup cloud 20261121T090727\nSTART TIMELINE: 1\n'
backup_name=bk34
begin_offset=216
begin_time=2026-11-21 09:07:27.656665+00:00
begin_wal=000000010000000000000006
begin_xlog=0/60000D8
compression=None
config_file=/pgdata/postgresql.conf
copy_stats={'total_time': 9.44479, 'number_of_workers': 2, 'analysis_time': 0, 'analysis_time_per_item': {'16384': 0, 'data': 0}, 'copy_time_per_item': {'16384': 0.103448, 'data': 0.144146}, 'serialized_copy_time_per_item': {'16384': 0.086497, 'data': 0.064112}, 'copy_time': 0.262202, 'serialized_copy_time': 0.150609}
deduplicated_size=None
end_offset=488
end_time=2026-11-21 09:07:34.766078+00:00
end_wal=000000010000000000000006
end_xlog=0/60001E8
error=None
hba_file=/pgdata/pg_hba.conf
ident_file=/pgdata/pg_ident.conf
included_files=None
mode=None
pgdata=/pgdata
server_name=cloud
size=None
status=DONE
systemid=7710548521839717151
tablespaces=[('ts_a', 16384, '/tablespace/ts_a')]
timeline=1
version=150018
xlog_segment_size=16777216
`;

function parseFinished(text: string): FinishedBackupInfo {
  const info = parseBackupInfo(text, "here");
  if (info.kind !== "done") throw new Error(`status is ${info.status}`);
  return info;
}

describe("reading", () => {
  test("a file of Barman 3.4 gives every fact", () => {
    const info = parseFinished(barman34);

    expect(info).toMatchObject({
      backupName: "bk34",
      endTime: new Date("2026-11-21T09:07:34.767Z"),
      beginWal: "000000010000000000000006",
      endWal: "000000010000000000000006",
      beginLsn: 0x60000d8n,
      endLsn: 0x60001e8n,
      timeline: 1,
      walSegmentSizeBytes: 16_777_216,
      systemIdentifier: 7_710_548_521_839_717_151n,
      serverVersion: 150_018,
      pgdata: "/pgdata",
      configFile: "/pgdata/postgresql.conf",
      includedFiles: [],
      tablespaces: [{ name: "ts_a", oid: 16_384, location: "/tablespace/ts_a" }],
      copyStats: { totalSeconds: 9.444_79, workers: 2 },
    });
    expect(info.backupLabel.split("\n")).toHaveLength(8);
    expect(info.backupLabel).toMatch(
      /^START WAL LOCATION: 0\/60000D8 \(file 000000010000000000000006\)\nCHECK/,
    );
  });

  test("order, CRLF, comments, blank lines and unknown keys of later versions do not matter", () => {
    const shuffled = [
      "# a comment",
      "",
      "children_backup_ids=None",
      "data_checksums=on",
      "gp_dbid=7",
      ...barman34.trimEnd().split("\n").reverse(),
    ].join("\r\n");

    expect(parseFinished(shuffled)).toEqual(parseFinished(barman34));
  });

  test.each([
    ["a list of lists", `[["name", 1, "/loc"]]`, [{ name: "name", oid: 1, location: "/loc" }]],
    ["none", "None", []],
    [
      "an apostrophe in the name",
      `[("o'clock", 2, '/a b')]`,
      [{ name: "o'clock", oid: 2, location: "/a b" }],
    ],
  ])("tablespaces as %s", (_, text, expected) => {
    const changed = barman34.replace(/tablespaces=.*/, `tablespaces=${text}`);
    expect(parseFinished(changed).tablespaces).toEqual(expected);
  });

  test.each([
    ["2026-11-21 09:07:34.766000+00:00", "2026-11-21T09:07:34.766Z"],
    ["2026-11-21 09:07:34.766001+00:00", "2026-11-21T09:07:34.767Z"],
    ["2026-11-21 09:07:34+00:00", "2026-11-21T09:07:34.000Z"],
    ["2026-11-21 11:07:34.5+02:00", "2026-11-21T09:07:34.500Z"],
    ["2026-11-21 14:37:34+0530", "2026-11-21T09:07:34.000Z"],
    ["2026-11-21 07:07:34-02", "2026-11-21T09:07:34.000Z"],
    ["2026-11-21T09:07:34Z", "2026-11-21T09:07:34.000Z"],
    ["2026-11-21 09:07:34.5", "2026-11-21T09:07:34.500Z"],
  ])("the end time %s is %s, never earlier than it was", (text, expected) => {
    const changed = barman34.replace(/end_time=.*/, `end_time=${text}`);
    expect(parseFinished(changed).endTime.toISOString()).toBe(expected);
  });

  test("a failed backup says why it failed", () => {
    const failed = barman34
      .replace("status=DONE", "status=FAILED")
      .replace("error=None", "error=failure uploading data (no space)")
      .replace(/end_(time|wal|xlog|offset)=.*/g, "end_$1=None")
      .replace(/backup_label=.*/, "backup_label=None");

    expect(parseBackupInfo(failed, "here")).toEqual({
      kind: "failed",
      backupName: "bk34",
      status: "FAILED",
      error: "failure uploading data (no space)",
      beginTime: new Date("2026-11-21T09:07:27.657Z"),
      systemIdentifier: 7_710_548_521_839_717_151n,
    });
  });

  test.each(["Sat Nov 21 09:07:34 2026", "11/21/2026 09:07:34", "21-11-2026", "2026-11-21"])(
    "a foreign end time without a zone, %s, is damage: it would be another moment on another machine",
    (text) => {
      const changed = barman34.replace(/end_time=.*/, `end_time=${text}`);
      expect(() => parseFinished(changed)).toThrow(`end_time is "${text}"`);
    },
  );

  test.each(["Sat Nov 21 09:07:34 2026 GMT", "Sat, 21 Nov 2026 10:07:34 +0100"])(
    "a foreign end time with a zone, %s, is read",
    (text) => {
      const changed = barman34.replace(/end_time=.*/, `end_time=${text}`);
      expect(parseFinished(changed).endTime.toISOString()).toBe("2026-11-21T09:07:34.000Z");
    },
  );

  test.each(["end_time", "begin_wal", "end_wal", "begin_xlog", "end_xlog", "timeline", "version"])(
    "a finished backup without %s is damaged",
    (key) => {
      const cut = barman34.replace(new RegExp(`^${key}=.*\n`, "m"), "");
      const attempt = () => parseBackupInfo(cut, "base/x/backup.info");
      expect(attempt).toThrow(`could not read "base/x/backup.info": the key "${key}" is missing`);
    },
  );

  test.each([
    ["an empty file", ""],
    ["something else", "<html>not found</html>"],
    ["a version that is no number", barman34.replace("version=150018", "version=fifteen")],
    ["a segment size that cannot be", barman34.replace("=16777216", "=12345")],
    [
      "a segment name of another size",
      barman34.replace("begin_wal=000000010000000000000006", "begin_wal=0000000100000000000001FF"),
    ],
    ["a system identifier that is no number", barman34.replace("7710548521839717151", "many")],
  ])("%s is damaged, not misread", (_, text) => {
    expect(() => parseBackupInfo(text, "here")).toThrow(
      expect.objectContaining({ name: "EngineError", code: "object-corrupt" }),
    );
  });
});

describe("writing", () => {
  test("uses exactly the keys that Barman 3.4 knows, sorted, and the same values", () => {
    const written = formatBackupInfo(parseFinished(barman34));

    const keysOf = (text: string) => [...text.matchAll(/^([a-z_]+)=/gm)].map(([, key]) => String(key));
    expect(keysOf(written)).toEqual(keysOf(barman34));
    expect(keysOf(written)).toEqual(keysOf(written).toSorted());
    for (const key of [
      "backup_label",
      "begin_offset",
      "end_offset",
      "tablespaces",
      "systemid",
      "server_name",
    ]) {
      const line = (text: string) => new RegExp(`^${key}=.*$`, "m").exec(text)?.[0];
      expect(line(written)).toBe(line(barman34));
    }
  });

  test("a backup without a name has no such key: Barman would read None as the name", () => {
    const written = formatBackupInfo({ ...parseFinished(barman34), backupName: undefined });
    expect(written).not.toMatch(/backup_name/);
  });

  test("what is written is read back, whatever names and labels hold", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 30 }).filter((s) => !/[\0\r]/.test(s));
    fc.assert(
      fc.property(
        text,
        text.filter((s) => s.trim() !== ""),
        fc.integer({ min: 1, max: 2 ** 32 - 1 }),
        fc.bigInt(1n, 2n ** 50n),
        (label, location, timeline, position) => {
          const line = parseFinished(barman34);
          const info: FinishedBackupInfo = {
            ...line,
            backupLabel: label,
            tablespaces: [{ name: location, oid: 5, location }],
            timeline: timelineId(timeline),
            endLsn: lsn(position),
            endWal: segmentContaining(lsn(position), timelineId(timeline), line.walSegmentSizeBytes),
          };
          const again = parseFinished(formatBackupInfo(info));
          expect({ ...again, copyStats: undefined }).toEqual({ ...info, copyStats: undefined });
        },
      ),
    );
  });
});
