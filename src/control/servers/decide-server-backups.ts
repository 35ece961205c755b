import type { AttachedRequest } from "../../instance/attached/attached-status.ts";
import type { BackupJob } from "../../instance/instance-status.ts";
import { backupPhases, isFinished } from "../backups/backup-status.ts";
import { describeMissing } from "../backups/missing-copies.ts";
import { decideSchedule, type ScheduleDecision, type ScheduleEvent } from "../schedules/decide-schedule.ts";
import type { ScheduleStatus } from "../schedules/schedule-status.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { ServerBackup } from "./server-status.ts";
import type { ServerSpec } from "./server-view.ts";

export interface ServerBackupFacts {
  /** Of the Server. */
  readonly createdAt: Date;
  readonly schedules: NonNullable<ServerSpec["schedules"]>;
  /** As far as they have been looked at before. */
  readonly scheduleStatuses: ReadonlyMap<string, ScheduleStatus>;
  /** Oldest first. */
  readonly backups: readonly ServerBackup[];
  /** Of the agent; undefined while it does not answer. */
  readonly jobs: readonly BackupJob[] | undefined;
  /** What keeps a backup from being worth anything. */
  readonly trouble: string | undefined;
  readonly now: Date;
}

/** The status is written first, then the agent is told: what it was not told of is found out, and told again. */
export interface ServerBackupDecision {
  readonly backups: readonly ServerBackup[];
  readonly scheduleStatuses: ReadonlyMap<string, ScheduleStatus>;
  readonly events: readonly ScheduleEvent[];
  readonly tell: readonly AttachedRequest[];
  readonly afterMs: number;
  /** Whether one has ended since the last look: repositories hold something else now. */
  readonly hasEnded: boolean;
}

/** How many that have ended are shown; what is stored, the stores say. */
const shownEnded = 10;
/** How long trouble may keep a backup waiting, as that of a Cluster, and a silent agent one running. */
const patienceMs = 10 * 60_000;
const followMs = 2000;
const restMs = 30_000;

/** What is next for the schedules and base backups of a server, from facts alone. */
export function decideServerBackups(facts: ServerBackupFacts): ServerBackupDecision {
  const { now, jobs } = facts;
  const scheduled = decideSchedules(facts);
  const waiting = [...facts.backups, ...scheduled.made];
  const steps = waiting.map((backup) => (isRunning(backup) ? follow(backup, jobs, now) : unchanged(backup)));
  const isBusy =
    jobs === undefined ||
    jobs.some(({ state }) => state === "running") ||
    steps.some(({ backup }) => isRunning(backup));
  const next = steps.findIndex(({ backup }) => backup.phase === backupPhases.pending);
  const begun = next === -1 || isBusy ? undefined : begin(steps[next]?.backup, facts);
  const all = steps.map((step, index) => (index === next ? (begun ?? troubled(step, facts)) : step));
  const backups = withoutOld(all.map(({ backup }) => backup));
  return {
    backups,
    scheduleStatuses: scheduled.statuses,
    events: [...scheduled.events, ...all.flatMap(({ events }) => events)],
    tell: [...all.flatMap(({ tell }) => tell), ...forgetting(jobs ?? [], backups)],
    afterMs: Math.min(scheduled.afterMs, backups.some((backup) => !isFinished(backup)) ? followMs : restMs),
    hasEnded: all.some(({ backup }, index) => {
      const before = waiting[index];
      return before !== undefined && !isFinished(before) && isFinished(backup);
    }),
  };
}

function decideSchedules({ schedules, scheduleStatuses, backups, createdAt, now }: ServerBackupFacts) {
  const made: ServerBackup[] = [];
  const statuses = new Map<string, ScheduleStatus>();
  const events: ScheduleEvent[] = [];
  let afterMs = Number.POSITIVE_INFINITY;
  for (const { name, schedule, immediate = false, suspend = false } of schedules) {
    const decision: ScheduleDecision = decideSchedule({
      name,
      createdAt,
      schedule,
      suspend,
      immediate,
      obstacle: undefined,
      status: scheduleStatuses.get(name) ?? neverSeen,
      backups: backups.map((backup) => ({
        name: backup.name,
        isChild: backup.schedule === name,
        isImmediate: backup.immediate === true,
        isFinished: isFinished(backup),
        createdAt: new Date(backup.createdAt),
      })),
      now,
    });
    const { create, again } = decision;
    if (create !== undefined) {
      made.push({
        name: create.name,
        schedule: name,
        ...(create.isImmediate ? { immediate: true } : {}),
        createdAt: toTimestamp(now),
        phase: backupPhases.pending,
      });
    }
    statuses.set(name, decision.status);
    events.push(...decision.events.map((event) => ({ ...event, message: `${name}: ${event.message}` })));
    if (again !== "never") afterMs = Math.min(afterMs, again.afterMs);
  }
  return { made, statuses, events, afterMs };
}

const neverSeen: ScheduleStatus = {
  lastCheckTime: undefined,
  lastScheduleTime: undefined,
  nextScheduleTimes: [],
  error: undefined,
};

interface Step {
  readonly backup: ServerBackup;
  readonly events: readonly ScheduleEvent[];
  readonly tell: readonly AttachedRequest[];
}

function unchanged(backup: ServerBackup): Step {
  return { backup, events: [], tell: [] };
}

const isRunning = ({ phase }: ServerBackup): boolean => phase === backupPhases.running;

/** The first of those that wait, when nothing else runs and nothing is wrong. */
function begin(backup: ServerBackup | undefined, { trouble, now }: ServerBackupFacts): Step | undefined {
  if (backup === undefined || trouble !== undefined) return undefined;
  const { troubledSince: _since, error: _error, ...rest } = backup;
  return {
    backup: { ...rest, phase: backupPhases.running, startedAt: toTimestamp(now) },
    events: [{ type: "Normal", reason: "BackupStarted", message: `Backup ${backup.name} started` }],
    tell: [startOf(backup)],
  };
}

function startOf({ name }: ServerBackup): AttachedRequest {
  return { op: "backup", id: name, name };
}

/** A backup whose WAL is not archived is worth nothing: it waits, and is given up in the end. */
function troubled({ backup }: Step, { trouble, now }: ServerBackupFacts): Step {
  const { troubledSince: _since, error: _error, ...rest } = backup;
  // It only waits for its turn.
  if (trouble === undefined) return unchanged(rest);
  const troubledSince = backup.troubledSince ?? toTimestamp(now);
  if (now.getTime() - Date.parse(troubledSince) > patienceMs) return failed(backup, trouble, now);
  return unchanged({ ...backup, troubledSince, error: trouble });
}

function follow(given: ServerBackup, jobs: readonly BackupJob[] | undefined, now: Date): Step {
  if (jobs === undefined) return unanswered(given, now);
  const { troubledSince: _since, ...backup } = given;
  const job = jobs.find(({ id }) => id === backup.name);
  // The request was lost, or does not show yet: the same ID again begins nothing twice.
  if (job === undefined) return { backup, events: [], tell: [startOf(backup)] };
  const backupId = job.backupId === undefined ? {} : { backupId: job.backupId };
  switch (job.state) {
    case "running": {
      const { doneBytes, totalBytes, phase } = job;
      const progress = { doneBytes, phase, ...(totalBytes === undefined ? {} : { totalBytes }) };
      return unchanged({ ...backup, ...backupId, progress });
    }
    case "completed":
      return completed({ ...backup, ...backupId }, job, now);
    case "failed":
      return failed({ ...backup, ...backupId }, job.error?.message ?? "it failed without saying why", now);
  }
}

/** A killed agent is started again within seconds; one that may not be, or has no data directory, must not keep a backup running for ever. */
function unanswered(backup: ServerBackup, now: Date): Step {
  const troubledSince = backup.troubledSince ?? toTimestamp(now);
  if (now.getTime() - Date.parse(troubledSince) <= patienceMs) return unchanged({ ...backup, troubledSince });
  return failed(backup, "the agent beside the server does not answer any more", now);
}

function completed(
  { progress: _progress, ...backup }: ServerBackup,
  { result, stoppedAt }: BackupJob,
  now: Date,
): Step {
  const pages = result?.damagedPages ?? 0;
  const missing = (result?.missing ?? []).map(({ name, message }) => ({ store: name, error: message }));
  return {
    backup: {
      ...backup,
      phase: backupPhases.completed,
      stoppedAt: toTimestamp(new Date(result?.endTime ?? stoppedAt ?? now)),
      ...(result === undefined
        ? {}
        : { beginWal: result.beginWal, endWal: result.endWal, storedBytes: result.storedBytes }),
      ...(pages === 0 ? {} : { damagedPages: pages }),
      ...(missing.length === 0 ? {} : { missing }),
    },
    events: [
      { type: "Normal", reason: "BackupCompleted", message: `Backup ${backup.name} completed` },
      ...(pages === 0
        ? []
        : [
            {
              type: "Warning" as const,
              reason: "DamagedPages",
              message: `Backup ${backup.name} is complete, but ${pages} pages with wrong checksums were read: look at the server's disk`,
            },
          ]),
      ...(missing.length === 0
        ? []
        : [
            {
              type: "Warning" as const,
              reason: "BackupPartial",
              message: `Backup ${backup.name} is complete and can be restored, but it is not in ${describeMissing(missing)}`,
            },
          ]),
    ],
    tell: [],
  };
}

function failed({ progress: _progress, ...backup }: ServerBackup, error: string, now: Date): Step {
  return {
    backup: { ...backup, phase: backupPhases.failed, stoppedAt: toTimestamp(now), error },
    events: [{ type: "Warning", reason: "BackupFailed", message: `Backup ${backup.name} failed: ${error}` }],
    tell: [],
  };
}

/** Those that have not ended, and the newest of the others. */
function withoutOld(backups: readonly ServerBackup[]): readonly ServerBackup[] {
  const ended = backups.filter(isFinished);
  const old = new Set(ended.slice(0, Math.max(0, ended.length - shownEnded)));
  return backups.filter((backup) => !old.has(backup));
}

/** Jobs that nobody will ask about any more. */
function forgetting(
  jobs: readonly BackupJob[],
  backups: readonly ServerBackup[],
): readonly AttachedRequest[] {
  return jobs.flatMap(({ id, state }): readonly AttachedRequest[] => {
    const backup = backups.find(({ name }) => name === id);
    if (state === "running") return backup === undefined ? [{ op: "cancel-backup", id }] : [];
    return backup === undefined || isFinished(backup) ? [{ op: "forget-backup", id }] : [];
  });
}
