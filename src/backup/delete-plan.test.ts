import { describe, expect, it } from "vitest";
import { lsn } from "../postgres/lsn.ts";
import { timelineId } from "../postgres/timeline.ts";
import { parseWalFileName, parseWalSegmentName, timelineOfSegment } from "../postgres/wal-file-name.ts";
import { parseBackupId } from "../repository/backup-id.ts";
import type { CatalogueEntry, FinishedEntry, KeepTarget } from "../repository/catalogue.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import { planWalPruning, refuseDeletion } from "./delete-plan.ts";
import type { IncompleteBackup } from "./incomplete.ts";

const segment = (timeline: number, number: number) =>
  parseWalSegmentName(
    `${timeline.toString(16).padStart(8, "0")}00000000${number.toString(16).padStart(8, "0")}`.toUpperCase(),
  );

function done(day: number, begin: readonly [number, number], keep?: KeepTarget): FinishedEntry {
  const beginWal = segment(...begin);
  return {
    kind: "done",
    id: parseBackupId(`202601${String(day).padStart(2, "0")}T000000`),
    keep,
    info: {
      kind: "done",
      backupName: undefined,
      backupLabel: "",
      beginTime: new Date(day * 86_400_000),
      endTime: new Date(day * 86_400_000 + 1),
      beginWal,
      endWal: beginWal,
      beginLsn: lsn(BigInt(begin[1]) * 16_777_216n),
      endLsn: lsn(BigInt(begin[1]) * 16_777_216n + 1n),
      timeline: timelineId(begin[0]),
      walSegmentSizeBytes: 16_777_216,
      systemIdentifier: undefined,
      serverVersion: 150_018,
      pgdata: undefined,
      configFile: undefined,
      hbaFile: undefined,
      identFile: undefined,
      includedFiles: [],
      tablespaces: [],
      copyStats: undefined,
    },
  };
}

function wal(...names: readonly string[]): WalObject[] {
  return names.map((name) => {
    const file = parseWalFileName(name);
    if (file === undefined) throw new Error(name);
    return { file, key: name, codec: "none", sizeBytes: 16, modifiedAt: new Date(0) };
  });
}

const pruned = (
  deleted: CatalogueEntry,
  catalogue: CatalogueEntry[],
  names: WalObject[],
  running: IncompleteBackup[] = [],
) => {
  const plan = planWalPruning(deleted, { catalogue, running, wal: names });
  return plan.kind === "prune" ? plan.objects.map(({ key }) => key) : plan.reason;
};

describe("the WAL that goes with a backup", () => {
  const first = done(1, [1, 2]);
  const second = done(2, [1, 5]);
  const third = done(3, [1, 8]);

  it("is what lies before the next backup's start when the oldest goes, labels and partial segments included", () => {
    const names = wal(
      segment(1, 1),
      `${segment(1, 2)}.00000028.backup`,
      `${segment(1, 4)}.partial`,
      segment(1, 5),
      segment(1, 9),
      "00000001.history",
    );

    expect(pruned(first, [first, second, third], names)).toEqual([
      segment(1, 1),
      `${segment(1, 2)}.00000028.backup`,
      `${segment(1, 4)}.partial`,
    ]);
  });

  it("is none when an older backup remains", () => {
    expect(pruned(second, [first, second, third], wal(segment(1, 1)))).toContain("older backup");
  });

  it("is what lies before its own start when it is the only one", () => {
    expect(pruned(second, [second], wal(segment(1, 4), segment(1, 5)))).toEqual([segment(1, 4)]);
  });

  it("spares the timelines of other remaining backups, and ranges that a standalone keep needs", () => {
    const other = done(3, [2, 9]);
    const kept = done(2, [1, 3], "standalone");
    const last = done(4, [3, 20]);
    const names = wal(segment(1, 1), segment(1, 3), segment(2, 1), segment(2, 9), segment(3, 1));

    // Next after the deleted one is the standalone keep on timeline 1.
    expect(pruned(first, [first, kept, other, last], names)).toEqual([segment(1, 1)]);
  });

  it("is not held by an older standalone keep when a policy asks, but for what that one needs itself", () => {
    const kept = done(1, [1, 2], "standalone");
    const names = wal(
      segment(1, 1),
      segment(1, 2),
      segment(1, 3),
      segment(1, 5),
      segment(1, 7),
      segment(1, 8),
    );
    const facts = { catalogue: [kept, second, third], running: [], wal: names };

    const byPolicy = planWalPruning(second, { ...facts, byPolicy: true });

    expect(byPolicy.kind === "prune" && byPolicy.objects.map(({ key }) => key)).toEqual([
      segment(1, 1),
      segment(1, 3),
      segment(1, 5),
      segment(1, 7),
    ]);
    expect(planWalPruning(second, facts).reason).toContain("older backup");
  });

  it("is held by an older full keep, whoever asks", () => {
    const kept = done(1, [1, 2], "full");
    const facts = { catalogue: [kept, second, third], running: [], wal: wal(segment(1, 1)), byPolicy: true };

    expect(planWalPruning(second, facts).reason).toContain("older backup");
  });

  it("spares what a later backup that began earlier replays, and what a running one does", () => {
    const fromStandby = done(3, [1, 3]);
    const running: IncompleteBackup = {
      id: parseBackupId("20260109T000000"),
      mark: { systemIdentifier: "1", host: "h", dataDirectory: "/d", beginWal: segment(1, 2) },
      wasComplete: false,
      lastSignAt: new Date(0),
      objects: 1,
      bytes: 1,
    };
    const names = wal(segment(1, 1), segment(1, 2), segment(1, 3), segment(1, 4));

    expect(pruned(first, [first, second, fromStandby], names)).toEqual([segment(1, 1), segment(1, 2)]);
    expect(pruned(first, [first, second, fromStandby], names, [running])).toEqual([segment(1, 1)]);
  });

  it("is none while an unfinished backup, Barman's for example, does not say where it begins", () => {
    const silent: IncompleteBackup = {
      id: parseBackupId("20260109T000000"),
      mark: undefined,
      wasComplete: false,
      lastSignAt: new Date(0),
      objects: 1,
      bytes: 1,
    };
    const names = wal(segment(1, 1));

    expect(pruned(first, [first, second], names, [silent])).toContain("does not say which WAL it needs");
    expect(pruned(first, [first, second], names, [{ ...silent, wasComplete: true }])).toEqual(
      names.map(({ file }) => file.name),
    );
  });

  it("is none when a remaining backup cannot be read, or the deleted one never finished", () => {
    const unreadable: CatalogueEntry = {
      kind: "unreadable",
      id: parseBackupId("20260105T000000"),
      keep: undefined,
      error: "x",
    };
    const incomplete: CatalogueEntry = {
      kind: "incomplete",
      id: parseBackupId("20260106T000000"),
      keep: undefined,
    };

    expect(pruned(first, [first, second, unreadable], wal(segment(1, 1)))).toContain("cannot be read");
    expect(pruned(incomplete, [first, incomplete], wal(segment(1, 1)))).toContain("did not finish");
  });

  it("never is a segment of a backup that remains", () => {
    for (const deleted of [first, second, third]) {
      const remaining = [first, second, third].filter((entry) => entry !== deleted);
      const all = Array.from({ length: 12 }, (_, at) => segment(1, at + 1));
      const gone = pruned(deleted, [first, second, third], wal(...all));
      for (const { info } of remaining) expect(gone).not.toContain(info.beginWal);
      expect(timelineOfSegment(first.info.beginWal)).toBe(1);
    }
  });
});

describe("deleting a backup", () => {
  const good = done(1, [1, 1]);
  const another = done(2, [1, 2]);
  const given = { force: false, isDead: false };

  it.each([
    ["is allowed while another good one remains", good, [good, another], given, undefined],
    ["is refused for the last good one", good, [good], given, "last-good"],
    ["is allowed for the last good one by force", good, [good], { ...given, force: true }, undefined],
    [
      "is refused for a kept one, by force too",
      done(1, [1, 1], "full"),
      [good, another],
      { ...given, force: true },
      "kept",
    ],
    [
      "is refused for one that may be running",
      { kind: "incomplete", id: good.id, keep: undefined } as const,
      [another],
      given,
      "perhaps-running",
    ],
    [
      "is allowed for a dead one",
      { kind: "incomplete", id: good.id, keep: undefined } as const,
      [another],
      { ...given, isDead: true },
      undefined,
    ],
  ])("%s", (_, entry, catalogue, options, kind) => {
    expect(refuseDeletion(entry, catalogue, options)?.kind).toBe(kind);
  });
});
