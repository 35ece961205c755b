import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextTime, parseCronSchedule } from "../../manifest/cron-schedule.ts";
import { decideSchedule, type NamedBackup, type ScheduleFacts } from "./decide-schedule.ts";
import { readScheduleStatus, writeScheduleStatus, type ScheduleStatus } from "./schedule-status.ts";

const nothing: ScheduleStatus = {
  lastCheckTime: undefined,
  lastScheduleTime: undefined,
  nextScheduleTimes: [],
  error: undefined,
};

function at(time: string): Date {
  return new Date(`2026-11-${time}Z`);
}

/** Every day at three, looked at on the 21st at noon, checked last on the 20th at noon. */
function facts(more: Partial<ScheduleFacts> = {}): ScheduleFacts {
  return {
    name: "nightly",
    createdAt: at("01T00:00:00"),
    schedule: "0 0 3 * * *",
    suspend: false,
    immediate: false,
    obstacle: undefined,
    status: { ...nothing, lastCheckTime: at("21T03:00:00") },
    backups: [],
    now: at("21T12:00:00"),
    ...more,
  };
}

function child(name: string, more: Partial<NamedBackup> = {}): NamedBackup {
  return {
    name,
    isChild: true,
    isImmediate: false,
    isFinished: true,
    createdAt: at("21T03:00:00"),
    ...more,
  };
}

const nextNights = [at("22T03:00:00"), at("23T03:00:00"), at("24T03:00:00")];

describe("a schedule seen first", () => {
  test("waits for its first slot", () => {
    expect(decideSchedule(facts({ status: nothing }))).toEqual({
      create: undefined,
      status: { ...nothing, lastCheckTime: at("21T12:00:00"), nextScheduleTimes: nextNights },
      events: [
        {
          type: "Normal",
          reason: "BackupSchedule",
          message: "Scheduled first backup by 2026-11-22 03:00:00 +0000 UTC",
        },
      ],
      again: { afterMs: 60_000 },
    });
  });

  test("makes a backup at once when it is to, named after now", () => {
    const decision = decideSchedule(facts({ status: nothing, immediate: true }));

    expect(decision.create).toEqual({ name: "nightly-20261121120000", isImmediate: true });
    expect(decision.status).toEqual({
      ...nothing,
      lastCheckTime: at("21T12:00:00"),
      lastScheduleTime: at("21T12:00:00"),
      nextScheduleTimes: nextNights,
    });
    expect(decision.events.map(({ message }) => message)).toEqual([
      "Scheduled immediate backup now: 2026-11-21 12:00:00 +0000 UTC",
      "Next backup scheduled by 2026-11-22 03:00:00 +0000 UTC",
    ]);
  });

  test("makes no second immediate backup when the note of the first was lost", () => {
    const made = child("nightly-20261121115958", { isImmediate: true, createdAt: at("21T11:59:58") });
    const decision = decideSchedule(facts({ status: nothing, immediate: true, backups: [made] }));

    expect(decision.create).toBeUndefined();
    expect(decision.status.lastScheduleTime).toEqual(at("21T11:59:58"));
    expect(decision.status.lastCheckTime).toEqual(at("21T12:00:00"));
  });

  test("does not take the immediate backup of an earlier schedule of its name for its own", () => {
    const old = child("nightly-20261101000000", { isImmediate: true, createdAt: at("01T00:00:00") });
    const decision = decideSchedule(
      facts({ status: nothing, immediate: true, backups: [old], createdAt: at("21T11:00:00") }),
    );

    expect(decision.create?.name).toBe("nightly-20261121120000");
  });
});

describe("a schedule", () => {
  test("waits for its next slot, and says the next three times", () => {
    expect(decideSchedule(facts())).toEqual({
      create: undefined,
      status: { ...nothing, lastCheckTime: at("21T03:00:00"), nextScheduleTimes: nextNights },
      events: [],
      again: { afterMs: 60_000 },
    });
  });

  test("looks again exactly when the slot comes", () => {
    expect(decideSchedule(facts({ now: at("22T02:59:30.250") })).again).toEqual({ afterMs: 29_750 });
  });

  test("makes a backup when its slot has come, named after the slot", () => {
    const decision = decideSchedule(facts({ now: at("22T03:00:00.120") }));

    expect(decision.create).toEqual({ name: "nightly-20261122030000", isImmediate: false });
    expect(decision.status.lastScheduleTime).toEqual(at("22T03:00:00"));
    expect(decision.status.nextScheduleTimes[0]).toEqual(at("23T03:00:00"));
    expect(decision.events).toEqual([
      {
        type: "Normal",
        reason: "BackupSchedule",
        message: "Next backup scheduled by 2026-11-23 03:00:00 +0000 UTC",
      },
    ]);
  });

  test("makes one backup for all slots that were missed, named after the first", () => {
    const decision = decideSchedule(facts({ now: at("25T12:00:00") }));

    expect(decision.create?.name).toBe("nightly-20261122030000");
    expect(decision.status.lastCheckTime).toEqual(at("25T12:00:00"));
    expect(decision.status.nextScheduleTimes[0]).toEqual(at("26T03:00:00"));
  });

  test("does nothing while it is suspended, and makes up for it with one backup", () => {
    const suspended = decideSchedule(facts({ suspend: true, now: at("25T12:00:00") }));

    expect(suspended).toEqual({
      create: undefined,
      status: { ...nothing, lastCheckTime: at("21T03:00:00") },
      events: [],
      again: "never",
    });
    const resumed = decideSchedule(facts({ status: suspended.status, now: at("25T12:00:00") }));
    expect(resumed.create?.name).toBe("nightly-20261122030000");
  });

  test("waits while one of its backups has not ended", () => {
    const running = child("nightly-20261121030000", { isFinished: false });
    const decision = decideSchedule(facts({ backups: [running], now: at("22T12:00:00") }));

    expect(decision.create).toBeUndefined();
    expect(decision.again).toEqual({ afterMs: 60_000 });
    expect(decision.status.lastCheckTime).toEqual(at("21T03:00:00"));
    // The slot that is due, and those to come.
    expect(decision.status.nextScheduleTimes).toEqual([
      at("22T03:00:00"),
      at("23T03:00:00"),
      at("24T03:00:00"),
    ]);
  });

  test("does not wait for the backups of others", () => {
    const running = child("by-hand", { isChild: false, isFinished: false });

    expect(decideSchedule(facts({ backups: [running], now: at("22T12:00:00") })).create).toBeDefined();
  });

  test("finds a backup that it made before the note of it was lost", () => {
    const made = child("nightly-20261122030000");
    const decision = decideSchedule(facts({ backups: [made], now: at("22T12:00:00") }));

    expect(decision.create).toBeUndefined();
    expect(decision.status.lastScheduleTime).toEqual(at("22T03:00:00"));
    expect(decision.events).toEqual([]);
  });

  test("skips a slot whose name somebody else has taken", () => {
    const foreign = child("nightly-20261122030000", { isChild: false });
    const decision = decideSchedule(facts({ backups: [foreign], now: at("22T12:00:00") }));

    expect(decision.create).toBeUndefined();
    expect(decision.status).toMatchObject({ lastCheckTime: at("22T12:00:00"), lastScheduleTime: undefined });
    expect(decision.events).toEqual([
      {
        type: "Warning",
        reason: "BackupAdoptionRefused",
        message: 'Backup "nightly-20261122030000" is not of this schedule: the slot is skipped',
      },
    ]);
  });

  test("with five fields is run as CloudNativePG reads it", () => {
    const decision = decideSchedule(facts({ schedule: "0 3 * * *", now: at("21T03:03:00") }));

    expect(decision.create?.name).toBe("nightly-20261121030300");
  });

  test("of @every counts from the last check", () => {
    const every = facts({
      schedule: "@every 6h",
      status: { ...nothing, lastCheckTime: at("21T07:15:00") },
    });

    expect(decideSchedule(every).create).toBeUndefined();
    expect(decideSchedule({ ...every, now: at("21T13:15:00") }).create?.name).toBe("nightly-20261121131500");
  });

  test("that never fires says so, once", () => {
    const never = facts({ schedule: "0 0 0 31 2 *", status: nothing });
    const decision = decideSchedule(never);

    expect(decision.again).toBe("never");
    expect(decision.events).toEqual([
      {
        type: "Warning",
        reason: "NoSchedule",
        message: 'schedule "0 0 0 31 2 *" never fires: there is no such time within five years',
      },
    ]);
    expect(decision.status.error).toBe(decision.events[0]?.message);
    expect(decideSchedule({ ...never, status: decision.status }).events).toEqual([]);
  });

  test("that cannot be read says so, and forgets it when it was corrected", () => {
    const broken = decideSchedule(facts({ schedule: "0 0 25 * * *" }));

    expect(broken.events.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      'InvalidSchedule: schedule "0 0 25 * * *" cannot be read: hour "25": 25 is above 23',
    ]);
    expect(broken.again).toBe("never");
    expect(decideSchedule(facts({ status: broken.status })).status.error).toBeUndefined();
  });

  test("that cannot make its backup keeps the slot", () => {
    const hindered = decideSchedule(facts({ obstacle: "no cluster", now: at("22T12:00:00") }));

    expect(hindered).toEqual({
      create: undefined,
      status: { ...nothing, lastCheckTime: at("21T03:00:00"), error: "no cluster" },
      events: [{ type: "Warning", reason: "BackupCreation", message: "Error while creating backup object" }],
      again: { afterMs: 60_000 },
    });
    const later = decideSchedule(facts({ status: hindered.status, now: at("22T13:00:00") }));
    expect(later.create?.name).toBe("nightly-20261122030000");
  });

  test("whose clock was set back goes on, without a second backup for a slot", () => {
    const ahead = facts({
      status: { ...nothing, lastCheckTime: new Date("2031-01-01T00:00:00Z") },
      backups: [child("nightly-20261122030000")],
    });
    const decision = decideSchedule(ahead);
    expect(decision.status.lastCheckTime).toEqual(at("21T12:00:00"));

    const atSlot = decideSchedule({ ...ahead, status: decision.status, now: at("22T03:00:01") });
    expect(atSlot.create).toBeUndefined();
    expect(atSlot.status.lastScheduleTime).toEqual(at("22T03:00:00"));
  });
});

/** A schedule's life: looks at random times, outages, crashes between the backup and the note, backups that take their time. */
interface Step {
  readonly passMs: number;
  /** The control plane is killed when it has made a backup. */
  readonly loses: boolean;
  readonly durationMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  passMs: fc.oneof(
    fc.integer({ min: 1, max: 5000 }),
    fc.integer({ min: 1000, max: 120_000 }),
    fc.integer({ min: 60_000, max: 3 * 24 * 3600 * 1000 }),
  ),
  loses: fc.boolean(),
  durationMs: fc.integer({ min: 0, max: 2 * 3600 * 1000 }),
});

const schedules = fc.constantFrom(
  "0 0 3 * * *",
  "*/5 * * * * *",
  "0 */7 * * * *",
  "0 0 2 * * 0",
  "30 15 1 1 * *",
  "@hourly",
  "@every 90s",
  "@every 1s",
  "0 3 * * *",
);

interface Made {
  readonly name: string;
  readonly isImmediate: boolean;
  readonly createdAt: Date;
  readonly endsAt: number;
}

/** Lives through the steps; gives what was made, and in words what must not have happened. */
function live(schedule: string, immediate: boolean, steps: readonly Step[]) {
  const parsed = parseCronSchedule(schedule);
  if ("error" in parsed) throw new Error(parsed.error);
  const made: Made[] = [];
  const faults: string[] = [];
  const createdAt = at("01T00:00:00");
  let now = createdAt;
  let status = nothing;
  for (const { passMs, loses, durationMs } of steps) {
    now = new Date(now.getTime() + passMs);
    const isBlocked = made.some(({ endsAt }) => endsAt > now.getTime());
    const decision = decideSchedule({
      ...facts({ schedule, immediate, status, createdAt, now }),
      backups: made.map((backup) => ({
        ...backup,
        isChild: true,
        isFinished: backup.endsAt <= now.getTime(),
      })),
    });
    const { create, again } = decision;
    if (create !== undefined) {
      if (isBlocked) faults.push(`${create.name} was made while another one ran`);
      // The first slot since the last check, and not before its time.
      const slot = create.isImmediate ? now : nextTime(parsed.schedule, status.lastCheckTime ?? now);
      if (
        slot === undefined ||
        slot > now ||
        decision.status.lastScheduleTime?.getTime() !== slot.getTime()
      ) {
        faults.push(`${create.name} was made at ${now.toISOString()}`);
      }
      if (decision.status.lastCheckTime !== now) faults.push("the slots that were missed are not done with");
      const wholeSecond = new Date(Math.floor(now.getTime() / 1000) * 1000);
      made.push({ ...create, createdAt: wholeSecond, endsAt: now.getTime() + durationMs });
      // A crash behind the making: nothing was noted.
      if (loses) continue;
    }
    // As it is kept: in whole seconds.
    status = readScheduleStatus(writeScheduleStatus(decision.status));
    const [next] = status.nextScheduleTimes;
    const isAsleep = again !== "never" && next !== undefined && next > now && !isBlocked;
    if (isAsleep && now.getTime() + again.afterMs > next.getTime()) faults.push("it sleeps past a slot");
  }
  return { made, faults };
}

describe("whatever happens to a schedule", () => {
  test("no slot gets two backups, and all that were missed get one", () => {
    fc.assert(
      fc.property(
        schedules,
        fc.boolean(),
        fc.array(step, { minLength: 1, maxLength: 60 }),
        (schedule, immediate, steps) => {
          const { made, faults } = live(schedule, immediate, steps);

          expect(faults).toEqual([]);
          const names = made.map(({ name }) => name);
          expect(names).toEqual([...new Set(names)]);
          expect(made.filter(({ isImmediate }) => isImmediate)).toHaveLength(immediate ? 1 : 0);
        },
      ),
    );
  });
});
