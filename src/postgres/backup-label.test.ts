import { describe, expect, test } from "vitest";
import { parseBackupLabel } from "./backup-label.ts";
import { lsn } from "./lsn.ts";
import { supportedMajors } from "./majors.ts";
import { fixtureNames, readFixture, readFixtureFacts } from "./testing/fixtures.ts";
import { parseWalFileName, segmentContaining } from "./wal-file-name.ts";

describe.each(supportedMajors)("the labels of PostgreSQL %i", (major) => {
  test("are read, the archived one with its stop lines", async () => {
    const { segmentSizeBytes } = await readFixtureFacts(major);
    const name = (await fixtureNames(major)).find((name) => name.endsWith(".backup")) ?? "";
    const file = parseWalFileName(name);

    const label = parseBackupLabel((await readFixture(major, "backup_label")).toString());
    const archived = parseBackupLabel((await readFixture(major, name)).toString());

    expect(label).toMatchObject({
      startTimeline: 1,
      method: "streamed",
      from: "primary",
      label: "a label: of \\ one line",
      incrementalFrom: undefined,
      stop: undefined,
    });
    expect(label.startTime).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(file).toMatchObject({
      kind: "backup-label",
      segment: label.startSegment,
      offset: Number(label.startLsn % BigInt(segmentSizeBytes)),
    });
    expect(label.startSegment).toBe(segmentContaining(label.startLsn, label.startTimeline, segmentSizeBytes));
    expect(label.checkpointLsn).toBeGreaterThan(label.startLsn);
    expect({ ...archived, stop: undefined }).toEqual(label);
    expect(archived.stop?.timeline).toBe(1);
    expect(archived.stop?.lsn).toBeGreaterThan(label.checkpointLsn);
    expect(archived.stop?.segment).toBe(
      segmentContaining(archived.stop?.lsn ?? lsn(0n), label.startTimeline, segmentSizeBytes),
    );
  });
});

const required =
  "START WAL LOCATION: 0/2000028 (file 000000030000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n";

test("takes the two required lines alone", () => {
  expect(parseBackupLabel(required)).toEqual({
    startLsn: 0x2000028n,
    startSegment: "000000030000000000000002",
    startTimeline: 3,
    checkpointLsn: 0x2000060n,
    method: undefined,
    from: undefined,
    startTime: undefined,
    label: undefined,
    incrementalFrom: undefined,
    stop: undefined,
  });
});

test("reads a label of a standby, an incremental backup and lines it does not know", () => {
  const text = `${required}BACKUP FROM: standby\nNEW IN 19: x\nLABEL: \nSTART TIMELINE: 3\nINCREMENTAL FROM LSN: 1/AB\nINCREMENTAL FROM TLI: 2\n`;

  expect(parseBackupLabel(text)).toMatchObject({
    from: "standby",
    label: "",
    incrementalFrom: { lsn: 0x1_0000_00abn, timeline: 2 },
  });
});

test.each([
  ["", `it has no line "START WAL LOCATION"`],
  [required.trimEnd(), `it has no line "CHECKPOINT LOCATION"`],
  [`${required}START TIMELINE: 2\n`, "a line is not as PostgreSQL writes it"],
  [`${required}START TIMELINE: x\n`, "a line is not as PostgreSQL writes it"],
  [`${required}BACKUP FROM: nowhere\n`, "a line is not as PostgreSQL writes it"],
  [`${required}INCREMENTAL FROM LSN: 1/AB\n`, "a line is not as PostgreSQL writes it"],
  [required.replace("0/2000028", "2000028"), "a line is not as PostgreSQL writes it"],
  [required.replace(" (file", " file"), "a line is not as PostgreSQL writes it"],
])("refuses %j", (text, reason) => {
  expect(() => parseBackupLabel(text)).toThrow(`the backup label is invalid: ${reason}`);
});
