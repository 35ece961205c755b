import { nextTime, nextTimes, parseCronSchedule, type CronSchedule } from "../../manifest/cron-schedule.ts";
import { compactTimestamp } from "../backups/compact-timestamp.ts";
import type { Again } from "../loop/reconciler.ts";
import type { ScheduleStatus } from "./schedule-status.ts";

/** All that a decision about a ScheduledBackup is made from. */
export interface ScheduleFacts {
  readonly name: string;
  readonly createdAt: Date;
  readonly schedule: string;
  readonly suspend: boolean;
  readonly immediate: boolean;
  /** Why no Backup can be made just now, although its time may have come. */
  readonly obstacle: string | undefined;
  readonly status: ScheduleStatus;
  /** The Backups of its namespace. */
  readonly backups: readonly NamedBackup[];
  readonly now: Date;
}

export interface NamedBackup {
  readonly name: string;
  /** Made by a ScheduledBackup of this name. */
  readonly isChild: boolean;
  readonly isImmediate: boolean;
  readonly isFinished: boolean;
  readonly createdAt: Date;
}

/** The Backup is made first, then the status is written. A crash in between leaves a child that is found by its name. */
export interface ScheduleDecision {
  readonly create: { readonly name: string; readonly isImmediate: boolean } | undefined;
  readonly status: ScheduleStatus;
  readonly events: readonly ScheduleEvent[];
  readonly again: Again;
}

export interface ScheduleEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

const blockedMs = 60_000;
/** At most: a machine that slept, or whose clock was set, must not find that out at the next slot only. */
const longestPauseMs = 60_000;

/** What is next for a schedule (spec: section 9.2), from facts alone. */
export function decideSchedule(facts: ScheduleFacts): ScheduleDecision {
  const parsed = parseCronSchedule(facts.schedule);
  if ("error" in parsed) {
    const message = `schedule "${facts.schedule}" cannot be read: ${parsed.error}`;
    return { ...troubled(facts, "InvalidSchedule", message), again: "never" };
  }
  // Nothing is noted: on resume the slots that were missed make one backup.
  if (facts.suspend) return { ...quiet({ ...facts.status, nextScheduleTimes: [] }), again: "never" };
  const known = { ...facts, status: withoutFuture(facts) };
  const context: Context = { facts: known, schedule: parsed.schedule };
  if (known.backups.some(({ isChild, isFinished }) => isChild && !isFinished)) return blocked(context);
  return known.status.lastCheckTime === undefined
    ? firstSight(context)
    : next(context, known.status.lastCheckTime);
}

interface Context {
  readonly facts: ScheduleFacts;
  readonly schedule: CronSchedule;
}

/** The clock was set back: slots that come a second time are found by their names. */
function withoutFuture({ status, now }: ScheduleFacts): ScheduleStatus {
  const { lastCheckTime } = status;
  return lastCheckTime !== undefined && lastCheckTime > now ? { ...status, lastCheckTime: now } : status;
}

function blocked({ facts, schedule }: Context): ScheduleDecision {
  const { status, now } = facts;
  const nextScheduleTimes =
    status.lastCheckTime === undefined ? [] : upcoming(schedule, status.lastCheckTime, now);
  return { ...quiet({ ...status, nextScheduleTimes }), again: { afterMs: blockedMs } };
}

function firstSight(context: Context): ScheduleDecision {
  const { facts, schedule } = context;
  const { immediate, backups, createdAt, now, status } = facts;
  if (immediate) {
    const made = backups.find(
      (backup) => backup.isChild && backup.isImmediate && backup.createdAt >= createdAt,
    );
    // It was made, and the note of it lost.
    if (made !== undefined) return waitForNext(context, taken(status, made.createdAt, now));
    return fire(context, now, true);
  }
  const noted = waitForNext(context, { ...status, lastCheckTime: now });
  const first = nextTime(schedule, now);
  if (first === undefined) return noted;
  const message = `Scheduled first backup by ${goTime(first)}`;
  return { ...noted, events: [{ type: "Normal", reason: "BackupSchedule", message }] };
}

function next(context: Context, lastCheckTime: Date): ScheduleDecision {
  const { facts, schedule } = context;
  const slot = nextTime(schedule, lastCheckTime);
  // However many were missed, the first of them stands for all.
  if (slot !== undefined && slot <= facts.now) return fire(context, slot, false);
  return waitForNext(context, facts.status);
}

function fire(context: Context, slot: Date, isImmediate: boolean): ScheduleDecision {
  const { facts } = context;
  const { now, status, obstacle, backups } = facts;
  if (obstacle !== undefined) {
    return { ...troubled(facts, "BackupCreation", obstacle), again: { afterMs: blockedMs } };
  }
  const name = `${facts.name}-${compactTimestamp(slot)}`;
  const present = backups.find((backup) => backup.name === name);
  if (present?.isChild === true) return waitForNext(context, taken(status, slot, now));
  if (present !== undefined) {
    const skipped = waitForNext(context, { ...status, lastCheckTime: now });
    const message = `Backup "${name}" is not of this schedule: the slot is skipped`;
    return {
      ...skipped,
      events: [{ type: "Warning", reason: "BackupAdoptionRefused", message }, ...skipped.events],
    };
  }
  const decided = waitForNext(context, taken(status, slot, now));
  const following = decided.status.nextScheduleTimes[0];
  const messages = [
    ...(isImmediate ? [`Scheduled immediate backup now: ${goTime(now)}`] : []),
    ...(following === undefined ? [] : [`Next backup scheduled by ${goTime(following)}`]),
  ];
  return {
    ...decided,
    create: { name, isImmediate },
    events: [
      ...messages.map((message) => ({ type: "Normal", reason: "BackupSchedule", message }) as const),
      ...decided.events,
    ],
  };
}

function taken(status: ScheduleStatus, slot: Date, now: Date): ScheduleStatus {
  return { ...status, lastCheckTime: now, lastScheduleTime: slot };
}

/** Nothing to do before the next slot. */
function waitForNext({ facts, schedule }: Context, status: ScheduleStatus): ScheduleDecision {
  const { now } = facts;
  const nextScheduleTimes = upcoming(schedule, status.lastCheckTime ?? now, now);
  const [first] = nextScheduleTimes;
  if (first === undefined) {
    const message = `schedule "${facts.schedule}" never fires: there is no such time within five years`;
    return { ...troubled({ ...facts, status }, "NoSchedule", message), again: "never" };
  }
  return {
    ...quiet({ ...status, nextScheduleTimes }),
    again: { afterMs: Math.min(longestPauseMs, Math.max(0, first.getTime() - now.getTime())) },
  };
}

/** The next slot and the two after it; after one that is due, those that are still to come. */
function upcoming(schedule: CronSchedule, lastCheckTime: Date, now: Date): readonly Date[] {
  const first = nextTime(schedule, lastCheckTime);
  if (first === undefined) return [];
  return [first, ...nextTimes(schedule, first > now ? first : now, 2)];
}

function quiet(status: ScheduleStatus): Omit<ScheduleDecision, "again"> {
  return { create: undefined, status: { ...status, error: undefined }, events: [] };
}

/** Said in an event once, and in the status for as long as it lasts. */
function troubled(facts: ScheduleFacts, reason: string, error: string): Omit<ScheduleDecision, "again"> {
  // CloudNativePG's message says no more; why, is in the status.
  const message = reason === "BackupCreation" ? "Error while creating backup object" : error;
  return {
    create: undefined,
    status: { ...facts.status, nextScheduleTimes: [], error },
    events: facts.status.error === error ? [] : [{ type: "Warning", reason, message }],
  };
}

/** As Go prints a time, which is what CloudNativePG's messages hold. */
function goTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`;
}
