import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBackupId } from "../repository/backup-id.ts";
import type { CatalogueEntry, FinishedEntry, KeepTarget } from "../repository/catalogue.ts";
import { backupEntry } from "../repository/testing/plan-facts.ts";
import { planExpiration } from "./expiration-plan.ts";
import { parseRetentionPolicy, windowStart } from "./retention-policy.ts";

const now = new Date("2026-11-30T12:00:00Z");
const policy = parseRetentionPolicy("7d");

/** Of a day of November 2026, ended at midnight; the window begins on the 23rd at noon. */
function done(day: number, keep?: KeepTarget): FinishedEntry {
  const digits = String(day).padStart(2, "0");
  const entry = backupEntry({
    id: `202611${digits}T000000`,
    begin: `0/${day}000028`,
    end: `0/${day}000138`,
    endTime: `2026-11-${digits}T00:00:00Z`,
  });
  return { ...entry, keep };
}

function verdicts(catalogue: readonly CatalogueEntry[]): readonly string[] {
  return planExpiration(catalogue, { policy, now }).verdicts.map(
    ({ id, verdict }) => `${Number(id.slice(6, 8))} ${verdict}`,
  );
}

describe("a recovery window", () => {
  test("keeps the newest backup from before it, and makes older ones obsolete", () => {
    expect(verdicts([done(10), done(20), done(23), done(24), done(30)])).toEqual([
      "10 obsolete",
      "20 obsolete",
      "23 valid",
      "24 valid",
      "30 valid",
    ]);
  });

  test("makes nothing obsolete while no backup is older", () => {
    expect(verdicts([done(24), done(30)])).toEqual(["24 valid", "30 valid"]);
    expect(verdicts([])).toEqual([]);
  });

  test("keeps the only backup however old it is", () => {
    expect(verdicts([done(1)])).toEqual(["1 valid"]);
  });

  test("a backup that ended exactly at its start does not reach the moments before it", () => {
    const atStart = done(23);
    const entry = { ...atStart, info: { ...atStart.info, endTime: windowStart(policy, now) } };

    expect(verdicts([done(10), done(20), entry])).toEqual(["10 obsolete", "20 valid", "23 valid"]);
  });

  test("spares what has a keep mark, of either kind", () => {
    expect(verdicts([done(5, "full"), done(10, "standalone"), done(15), done(20)])).toEqual([
      "5 kept",
      "10 kept",
      "15 obsolete",
      "20 valid",
    ]);
  });

  test("a kept backup can be the one from before the window", () => {
    expect(verdicts([done(10), done(20, "standalone"), done(30)])).toEqual([
      "10 obsolete",
      "20 valid",
      "30 valid",
    ]);
  });

  test("backups that did not finish take no part", () => {
    const failed: CatalogueEntry = {
      kind: "failed",
      id: parseBackupId("20261101T000000"),
      keep: undefined,
      info: {
        kind: "failed",
        backupName: undefined,
        status: "FAILED",
        error: "x",
        beginTime: undefined,
        systemIdentifier: undefined,
      },
    };
    const incomplete: CatalogueEntry = {
      kind: "incomplete",
      id: parseBackupId("20261122T000000"),
      keep: undefined,
    };
    const unreadable: CatalogueEntry = {
      kind: "unreadable",
      id: parseBackupId("20261103T000000"),
      keep: undefined,
      error: "x",
    };

    expect(verdicts([failed, unreadable, done(10), done(20), incomplete])).toEqual([
      "1 no-part",
      "3 no-part",
      "22 no-part",
      "10 obsolete",
      "20 valid",
    ]);
  });

  test("goes by the times at which backups ended, not by their names", () => {
    const early = { ...done(30), info: { ...done(10).info } };

    expect(verdicts([early, done(20), done(25)])).toEqual(["30 obsolete", "20 valid", "25 valid"]);
  });

  test("gives its reasons", () => {
    expect(planExpiration([done(10), done(20), done(30)], { policy, now })).toEqual({
      policy: { kind: "recovery-window", count: 7, unit: "days" },
      windowStart: new Date("2026-11-23T12:00:00Z"),
      obsolete: ["20261110T000000"],
      verdicts: [
        {
          id: "20261110T000000",
          verdict: "obsolete",
          reason: 'the window\'s start is reached from "20261120T000000", which is newer',
        },
        { id: "20261120T000000", verdict: "valid", reason: "the window's start is reached from it" },
        {
          id: "20261130T000000",
          verdict: "valid",
          reason: "it ended within the window, at 2026-11-30T00:00:00.000Z",
        },
      ],
    });
  });

  test("never takes away what a moment of the window is reached from, nor a kept or the newest backup", () => {
    const backup = fc.record({
      day: fc.integer({ min: 1, max: 30 }),
      keep: fc.constantFrom<KeepTarget | undefined>(undefined, undefined, "full", "standalone"),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(backup, { selector: ({ day }) => day, maxLength: 12 }),
        fc.integer({ min: 1, max: 40 }),
        (backups, days) => {
          const window = parseRetentionPolicy(`${days}d`);
          const catalogue = backups.map(({ day, keep }) => done(day, keep));
          const plan = planExpiration(catalogue, { policy: window, now });

          const remaining = catalogue.filter(({ id }) => !plan.obsolete.includes(id));
          const newestBefore = (entries: readonly FinishedEntry[], moment: Date) =>
            Math.max(
              ...entries.map(({ info }) => info.endTime.getTime()).filter((end) => end <= moment.getTime()),
            );
          for (let hour = 0; hour <= days * 24; hour += 6) {
            const moment = new Date(now.getTime() - hour * 3_600_000);
            expect(newestBefore(remaining, moment)).toBe(newestBefore(catalogue, moment));
          }
          expect(remaining.filter(({ keep }) => keep !== undefined)).toEqual(
            catalogue.filter(({ keep }) => keep !== undefined),
          );
          // Oldest first, and a second run of the same policy has nothing to do.
          expect([...plan.obsolete].sort()).toEqual(plan.obsolete);
          expect(planExpiration(remaining, { policy: window, now }).obsolete).toEqual([]);
        },
      ),
    );
  });
});
