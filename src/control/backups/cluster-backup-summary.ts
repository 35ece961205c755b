import { valueAt } from "../../manifest/manifest-object.ts";
import type { RepositoryWindow } from "../maintenance/cluster-windows.ts";
import type { Condition } from "../resources/conditions.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { Resource } from "../resources/resource.ts";
import { backupPhases, isFinished, isUnderWay, type BackupStatus } from "./backup-status.ts";
import { viewBackup } from "./backup-view.ts";
import { describeMissing, missingCopies, type MissingCopy } from "./missing-copies.ts";

/** What a Cluster's status says of its backups (spec: section 7), for whoever writes it. */
export interface ClusterBackupSummary {
  /**
   * `firstRecoverabilityPoint`, `firstRecoverabilityPointByMethod`, `lastSuccessfulBackup`, `lastSuccessfulBackupByMethod`,
   * `lastFailedBackup`: for the plugin too, for which CloudNativePG leaves them empty. What is not known now stays as it was.
   */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What each repository can restore; undefined before they were read. */
  readonly stores?: readonly StoreSummary[];
  /** `LastBackupSucceeded`; undefined leaves it as it was: nothing has run yet, or all Backups were deleted. */
  readonly lastBackup: Omit<Condition, "lastTransitionTime"> | undefined;
}

/** One repository of the cluster, for its status. */
interface StoreSummary {
  readonly name: string;
  readonly serverName: string;
  readonly backups?: number | undefined;
  readonly firstRecoverabilityPoint?: string | undefined;
  readonly lastSuccessfulBackup?: string | undefined;
  readonly error?: string | undefined;
}

export interface SummaryFacts {
  readonly cluster: Resource;
  /** Of its namespace; others than its own are left out. */
  readonly backups: readonly Resource[];
  /** As `ClusterWindows` knows them; undefined before they were read. */
  readonly windows: readonly RepositoryWindow[] | undefined;
}

/** Text order of such times is their order. */
type Times = Readonly<Record<string, string>>;

export function summarizeBackups({ cluster, backups, windows }: SummaryFacts): ClusterBackupSummary {
  const own = backups
    .map(viewBackup)
    .filter(({ clusterName, status }) => clusterName === cluster.metadata.name && isOf(status, cluster))
    .map(({ status }) => status);
  const before = (name: string) => textAt(cluster.status, name);
  const first = windows?.every(({ readAt }) => readAt !== undefined)
    ? timesByMethod(windows, "firstRecoverabilityPoint", earlier)
    : timesAt(cluster.status, "firstRecoverabilityPointByMethod");
  const last = [
    timesAt(cluster.status, "lastSuccessfulBackupByMethod"),
    timesByMethod(windows ?? [], "lastSuccessfulBackupTime", later),
    completedByMethod(own),
  ].reduce((a, b) => merge(a, b, later));
  const failures = own.flatMap(({ phase, stoppedAt }) =>
    phase === backupPhases.failed && stoppedAt !== undefined ? [stoppedAt] : [],
  );
  return {
    fields: {
      ...some(
        "firstRecoverabilityPoint",
        Object.values(first).reduce<string | undefined>(earlier, undefined),
      ),
      ...(Object.keys(first).length === 0 ? {} : { firstRecoverabilityPointByMethod: first }),
      ...some("lastSuccessfulBackup", Object.values(last).reduce<string | undefined>(later, undefined)),
      ...(Object.keys(last).length === 0 ? {} : { lastSuccessfulBackupByMethod: last }),
      ...some("lastFailedBackup", failures.reduce<string | undefined>(later, before("lastFailedBackup"))),
    },
    ...(windows === undefined ? {} : { stores: windows.map(summarizeStore) }),
    lastBackup: lastBackupCondition(own),
  };
}

function summarizeStore(window: RepositoryWindow): StoreSummary {
  const { firstRecoverabilityPoint: first, lastSuccessfulBackupTime: last } = window;
  return {
    name: window.repository,
    serverName: window.serverName,
    backups: window.backupCount,
    firstRecoverabilityPoint: first && toTimestamp(first),
    lastSuccessfulBackup: last && toTimestamp(last),
    error: window.error,
  };
}

/** Those of an earlier cluster of the name say nothing of this one. One that was not started yet belongs to both. */
function isOf({ clusterUID }: BackupStatus, { metadata }: Resource): boolean {
  return clusterUID === undefined || clusterUID === metadata.uid;
}

/** CloudNativePG's condition: a running backup, else the one that ended last; undefined while there is neither. */
export function lastBackupCondition(
  statuses: readonly (Pick<
    BackupStatus,
    "phase" | "error" | "stoppedAt" | "reconciliationTerminatedAt" | "destinations"
  > & { readonly missing?: readonly MissingCopy[] | undefined })[],
): Omit<Condition, "lastTransitionTime"> | undefined {
  const type = "LastBackupSucceeded";
  if (statuses.some(isUnderWay)) {
    return { type, status: "False", reason: "BackupStarted", message: "New Backup starting up" };
  }
  const last = statuses
    .filter(isFinished)
    .toSorted((a, b) => (endOf(a) < endOf(b) ? -1 : 1))
    .at(-1);
  if (last === undefined) return undefined;
  const missing = last.missing ?? missingCopies(last.destinations);
  const but = missing.length === 0 ? "" : `, but it is not in ${describeMissing(missing)}`;
  return last.phase === backupPhases.completed
    ? { type, status: "True", reason: "LastBackupSucceeded", message: `Backup was successful${but}` }
    : { type, status: "False", reason: "LastBackupFailed", message: last.error ?? "Backup failed" };
}

function endOf({
  reconciliationTerminatedAt,
  stoppedAt,
}: Pick<BackupStatus, "stoppedAt" | "reconciliationTerminatedAt">): string {
  return reconciliationTerminatedAt ?? stoppedAt ?? "";
}

function completedByMethod(statuses: readonly BackupStatus[]): Times {
  return statuses
    .flatMap(({ phase, method, stoppedAt }) =>
      phase === backupPhases.completed && method !== undefined && stoppedAt !== undefined
        ? [{ [method]: stoppedAt }]
        : [],
    )
    .reduce<Times>((a, b) => merge(a, b, later), {});
}

function timesByMethod(
  windows: readonly RepositoryWindow[],
  field: "firstRecoverabilityPoint" | "lastSuccessfulBackupTime",
  better: typeof later,
): Times {
  return windows
    .flatMap((window) => {
      const time = window[field];
      const method = window.objectStore === undefined ? "barmanObjectStore" : "plugin";
      return time === undefined ? [] : [{ [method]: toTimestamp(time) }];
    })
    .reduce<Times>((a, b) => merge(a, b, better), {});
}

function merge(a: Times, b: Times, better: typeof later): Times {
  const merged: Record<string, string> = { ...a };
  for (const [name, time] of Object.entries(b)) merged[name] = better(merged[name], time);
  return merged;
}

/** Of two times as text. */
export function later(a: string | undefined, b: string): string {
  return a === undefined || a < b ? b : a;
}

export function earlier(a: string | undefined, b: string): string {
  return a === undefined || b < a ? b : a;
}

function textAt(status: unknown, name: string): string | undefined {
  const value = valueAt(status, [name]);
  return typeof value === "string" ? value : undefined;
}

function timesAt(status: unknown, name: string): Times {
  const value = valueAt(status, [name]);
  return Object.fromEntries(
    Object.entries(value ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function some(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { [name]: value };
}
