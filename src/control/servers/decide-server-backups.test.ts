import { describe, expect, test } from "vitest";
import type { BackupJob } from "../../instance/instance-status.ts";
import { decideServerBackups, type ServerBackupFacts } from "./decide-server-backups.ts";
import type { ServerBackup } from "./server-status.ts";

const now = new Date("2026-11-21T12:00:00Z");
const nightly = { name: "nightly", schedule: "0 0 3 * * *" };
const minute = 60_000;

function facts(change: Partial<ServerBackupFacts> = {}): ServerBackupFacts {
  return {
    createdAt: new Date("2026-11-21T11:00:00Z"),
    schedules: [],
    scheduleStatuses: new Map(),
    backups: [],
    jobs: [],
    trouble: undefined,
    now,
    ...change,
  };
}

const pending: ServerBackup = { name: "one", createdAt: "2026-11-21T11:59:00Z", phase: "pending" };
const running: ServerBackup = { ...pending, phase: "running", startedAt: "2026-11-21T11:59:01Z" };

function job(change: Partial<BackupJob> = {}): BackupJob {
  return {
    id: "one",
    state: "running",
    phase: "copying",
    doneBytes: 5,
    totalBytes: 10,
    startedAt: "2026-11-21T11:59:01.000Z",
    backupId: "20261121T115901",
    ...change,
  };
}

const completedJob = job({
  state: "completed",
  result: {
    beginWal: "01",
    endWal: "02",
    beginLsn: "0/1",
    endLsn: "0/2",
    timeline: 1,
    beginTime: "2026-11-21T11:59:02.000Z",
    endTime: "2026-11-21T11:59:58.400Z",
    storedBytes: 7,
    damagedPages: 0,
  },
});

/** What is decided, and decided again on that. */
function again(given: ServerBackupFacts, change: Partial<ServerBackupFacts>) {
  const { backups, scheduleStatuses } = decideServerBackups(given);
  return decideServerBackups({ ...given, backups, scheduleStatuses, ...change });
}

describe("a schedule of a server", () => {
  test("with immediate makes a backup at once, once, and says when the next three are", () => {
    const given = facts({ schedules: [{ ...nightly, immediate: true }] });
    const decided = decideServerBackups(given);

    expect(decided.backups).toMatchObject([
      { name: "nightly-20261121120000", schedule: "nightly", immediate: true, phase: "running" },
    ]);
    expect(decided.tell).toEqual([
      { op: "backup", id: "nightly-20261121120000", name: "nightly-20261121120000" },
    ]);
    expect(
      decided.scheduleStatuses.get("nightly")?.nextScheduleTimes.map((time) => time.toISOString()),
    ).toEqual(["2026-11-22T03:00:00.000Z", "2026-11-23T03:00:00.000Z", "2026-11-24T03:00:00.000Z"]);
    expect(decided.events).toContainEqual({
      type: "Normal",
      reason: "BackupSchedule",
      message: "nightly: Next backup scheduled by 2026-11-22 03:00:00 +0000 UTC",
    });
    expect(again(given, {}).backups).toHaveLength(1);
  });

  test("makes one backup of all slots that were missed, under the first one's name", () => {
    const given = facts({ schedules: [nightly] });
    const { backups } = again(given, { now: new Date("2026-11-25T12:00:00Z") });

    expect(decideServerBackups(given).backups).toEqual([]);
    expect(backups.map(({ name }) => name)).toEqual(["nightly-20261122030000"]);
  });

  test("makes none while it is suspended, while its last one runs, and when it cannot be read", () => {
    const late = { now: new Date("2026-11-22T12:00:00Z") };
    const child: ServerBackup = { ...running, schedule: "nightly" };

    const suspended = facts({ schedules: [{ ...nightly, suspend: true }] });
    const busy = facts({ schedules: [nightly], backups: [child], jobs: [job()] });
    const bad = decideServerBackups(facts({ schedules: [{ ...nightly, schedule: "often" }] }));

    expect(again(suspended, late).backups).toEqual([]);
    expect(again(busy, late).backups).toHaveLength(1);
    expect(bad.events[0]?.message).toContain('nightly: schedule "often" cannot be read');
  });
});

describe("a base backup of a server", () => {
  test("begins, is followed, and ends as its job does, which is forgotten then", () => {
    const begun = decideServerBackups(facts({ backups: [pending] }));
    expect(begun.backups).toEqual([{ ...pending, phase: "running", startedAt: "2026-11-21T12:00:00Z" }]);

    const under = decideServerBackups(facts({ backups: begun.backups, jobs: [job()] }));
    expect(under).toMatchObject({
      backups: [{ phase: "running", progress: { doneBytes: 5, totalBytes: 10, phase: "copying" } }],
      tell: [],
      afterMs: 2000,
    });

    const ended = decideServerBackups(facts({ backups: under.backups, jobs: [completedJob] }));
    expect(ended).toMatchObject({
      backups: [
        {
          phase: "completed",
          backupId: "20261121T115901",
          stoppedAt: "2026-11-21T11:59:58Z",
          beginWal: "01",
          endWal: "02",
          storedBytes: 7,
        },
      ],
      tell: [{ op: "forget-backup", id: "one" }],
      hasEnded: true,
    });
    expect(ended.backups[0]?.progress).toBeUndefined();
    expect(decideServerBackups(facts({ backups: ended.backups })).hasEnded).toBe(false);
  });

  test("that is not in every store says so", () => {
    const missing = [{ name: "offsite", message: "no answer" }];
    const partial = { ...completedJob, result: completedJob.result && { ...completedJob.result, missing } };

    const { backups, events } = decideServerBackups(facts({ backups: [running], jobs: [partial] }));

    expect(backups).toMatchObject([
      { phase: "completed", missing: [{ store: "offsite", error: "no answer" }] },
    ]);
    expect(events.at(-1)).toEqual({
      type: "Warning",
      reason: "BackupPartial",
      message: 'Backup one is complete and can be restored, but it is not in "offsite" (no answer)',
    });
  });

  test("fails with its job's words, and damaged pages are said", () => {
    const failed = job({ state: "failed", error: { code: "wal-timeout", message: "no WAL" } });
    const damaged = {
      ...completedJob,
      result: completedJob.result && { ...completedJob.result, damagedPages: 2 },
    };

    expect(decideServerBackups(facts({ backups: [running], jobs: [failed] }))).toMatchObject({
      backups: [{ phase: "failed", error: "no WAL", stoppedAt: "2026-11-21T12:00:00Z" }],
      events: [{ type: "Warning", reason: "BackupFailed", message: "Backup one failed: no WAL" }],
    });
    expect(decideServerBackups(facts({ backups: [running], jobs: [damaged] })).events).toMatchObject([
      { reason: "BackupCompleted" },
      { type: "Warning", reason: "DamagedPages" },
    ]);
  });

  test("is asked for again when the agent knows nothing of it, and waits while it does not answer", () => {
    expect(decideServerBackups(facts({ backups: [running] })).tell).toEqual([
      { op: "backup", id: "one", name: "one" },
    ]);
    expect(decideServerBackups(facts({ backups: [running], jobs: undefined }))).toMatchObject({
      backups: [running],
      tell: [],
    });
  });

  test("has failed when the agent does not answer for ten minutes, and goes on when it does before", () => {
    const given = facts({ backups: [running], jobs: undefined });
    const later = new Date(now.getTime() + 11 * minute);

    expect(again(given, { now: later })).toMatchObject({
      backups: [{ phase: "failed", error: "the agent beside the server does not answer any more" }],
      hasEnded: true,
    });
    const answered = decideServerBackups({ ...given, ...again(given, {}), jobs: [job()] });
    expect(decideServerBackups({ ...given, backups: answered.backups, now: later }).backups).toMatchObject([
      { phase: "running" },
    ]);
  });

  test("waits for its turn", () => {
    const two = { ...pending, name: "two" };

    const first = decideServerBackups(facts({ backups: [pending, two] }));
    expect(first.backups.map(({ phase }) => phase)).toEqual(["running", "pending"]);
    expect(decideServerBackups(facts({ backups: first.backups, jobs: [job()] })).backups[1]).toEqual(two);
    const after = decideServerBackups(facts({ backups: first.backups, jobs: [completedJob] }));
    expect(after.backups.map(({ phase }) => phase)).toEqual(["completed", "running"]);
  });

  test("waits while something is wrong, says what, begins when it is over, and is given up after ten minutes", () => {
    const given = facts({ backups: [pending], trouble: "the store is down" });
    const waiting = decideServerBackups(given);
    expect(waiting.backups).toEqual([
      { ...pending, troubledSince: "2026-11-21T12:00:00Z", error: "the store is down" },
    ]);

    expect(again(given, { trouble: undefined }).backups).toEqual([
      { ...pending, phase: "running", startedAt: "2026-11-21T12:00:00Z" },
    ]);
    const later = new Date(now.getTime() + 11 * minute);
    expect(again(given, { now: later }).backups).toMatchObject([
      { phase: "failed", error: "the store is down" },
    ]);
  });

  test("leaves the list when ten later ones have ended; jobs that nobody asks about are given up", () => {
    const ended = Array.from({ length: 12 }, (_, at): ServerBackup => ({
      ...pending,
      name: `b${at}`,
      phase: "completed",
    }));

    const decided = decideServerBackups(
      facts({ backups: ended, jobs: [job({ id: "stray" }), { ...completedJob, id: "b0" }] }),
    );

    expect(decided.backups.map(({ name }) => name)).toEqual(ended.slice(2).map(({ name }) => name));
    expect(decided.tell).toEqual([
      { op: "cancel-backup", id: "stray" },
      { op: "forget-backup", id: "b0" },
    ]);
  });
});
