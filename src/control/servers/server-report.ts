import type { AttachedStatus } from "../../instance/attached/attached-status.ts";
import { earlier, lastBackupCondition, later } from "../backups/cluster-backup-summary.ts";
import { backupPhases } from "../backups/backup-status.ts";
import type { RepositoryWindow } from "../maintenance/cluster-windows.ts";
import { withCondition, type Condition } from "../resources/conditions.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import { storeReport } from "../store-report.ts";
import { writeScheduleStatus } from "../schedules/schedule-status.ts";
import type { ServerBackupDecision } from "./decide-server-backups.ts";
import { settingsFor, type ServerHealth } from "./server-health.ts";
import type { RememberedServer } from "./server-status.ts";

export interface ServerReportFacts {
  readonly generation: number;
  readonly remembered: RememberedServer;
  readonly health: ServerHealth;
  /** What the process beside it says; undefined while it does not answer. */
  readonly status: AttachedStatus | undefined;
  readonly backups: Pick<ServerBackupDecision, "backups" | "scheduleStatuses">;
  /** What its repositories hold; undefined before they were read. */
  readonly windows: readonly RepositoryWindow[] | undefined;
  readonly now: Date;
}

/** The status of a Server, whole. What is not known now stays as it was where it cannot have changed. */
export function serverStatus(given: ServerReportFacts): Readonly<Record<string, unknown>> {
  const { remembered, health, status, backups, generation } = given;
  const { postgres, archiving, systemIdentifier } = status ?? {};
  const schedules = [...backups.scheduleStatuses].map(([name, schedule]) => ({
    name,
    ...writeScheduleStatus(schedule),
  }));
  const next = [...backups.scheduleStatuses.values()].flatMap(({ nextScheduleTimes: [first] }) =>
    first === undefined ? [] : [toTimestamp(first)],
  );
  return {
    phase: health.phase,
    phaseReason: health.phaseReason,
    observedGeneration: generation,
    systemID: systemIdentifier ?? remembered.systemID,
    version: postgres?.version,
    role: postgres?.role,
    timelineID: postgres?.timeline,
    lastArchivedWAL: archiving?.lastArchived?.name,
    lastArchivedTime: archiving?.lastArchived?.at,
    ...recoverability(given),
    nextBackup: next.reduce<string | undefined>(earlier, undefined),
    schedules: schedules.length === 0 ? undefined : schedules,
    backups: backups.backups.length === 0 ? undefined : backups.backups,
    stores: storesOf(given),
    settings: status && settingsFor(status),
    agent: status && {
      pid: status.pid,
      startedAt: status.startedAt,
      waitingFiles: archiving?.waitingFiles,
      waitingBytes: archiving?.waitingBytes,
    },
    conditions: conditionsOf(given),
  };
}

function recoverability({ remembered, windows = [], backups }: ServerReportFacts) {
  const isRead = windows.length > 0 && windows.every(({ readAt }) => readAt !== undefined);
  const times = (field: "firstRecoverabilityPoint" | "lastSuccessfulBackupTime"): readonly string[] =>
    windows.flatMap((window) => (window[field] === undefined ? [] : [toTimestamp(window[field])]));
  const ended = (phase: string): readonly string[] =>
    backups.backups.flatMap((backup) =>
      backup.phase === phase && backup.stoppedAt !== undefined ? [backup.stoppedAt] : [],
    );
  return {
    firstRecoverabilityPoint: isRead
      ? times("firstRecoverabilityPoint").reduce<string | undefined>(earlier, undefined)
      : remembered.firstRecoverabilityPoint,
    lastSuccessfulBackup: [...times("lastSuccessfulBackupTime"), ...ended(backupPhases.completed)].reduce(
      later,
      remembered.lastSuccessfulBackup,
    ),
    lastFailedBackup: ended(backupPhases.failed).reduce(later, remembered.lastFailedBackup),
  };
}

/** Each store, as the agent sees it when it writes, and as its catalogue was read last. */
function storesOf({ status, windows = [] }: ServerReportFacts): readonly unknown[] | undefined {
  const repositories = status?.archiving?.repositories ?? [];
  const names = [
    ...new Set([...repositories.map(({ name }) => name), ...windows.map(({ repository }) => repository)]),
  ];
  if (names.length === 0) return undefined;
  return names.map((name) => {
    const written = repositories.find((repository) => repository.name === name);
    const window = windows.find(({ repository }) => repository === name);
    return {
      name,
      serverName: written?.server ?? window?.serverName,
      ...storeReport(written),
      error: written?.error?.message ?? window?.error,
      firstRecoverabilityPoint: textOf(window?.firstRecoverabilityPoint),
      lastSuccessfulBackup: textOf(window?.lastSuccessfulBackupTime),
    };
  });
}

function conditionsOf({ health, backups, remembered, status, generation, now }: ServerReportFacts) {
  // Settings that were corrected are no longer what archiving fails of, also while nothing has been archived yet.
  const isOver = health.archiving === undefined && status?.archiving !== undefined;
  const before = remembered.conditions.filter(
    ({ type, status: is }) => !(isOver && type === "ContinuousArchiving" && is === "False"),
  );
  const found = [health.ready, health.archiving, lastBackupCondition(backups.backups)];
  return found
    .filter((item) => item !== undefined)
    .reduce<readonly Condition[]>(
      (all, item) => withCondition(all, { ...item, observedGeneration: generation }, now),
      before,
    );
}

function textOf(time: Date | undefined): string | undefined {
  return time === undefined ? undefined : toTimestamp(time);
}
