import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import { isFinished } from "../backups/backup-status.ts";
import { viewBackup } from "../backups/backup-view.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { backupLabels, childBackup, clusterNameOf, ownerOf } from "./child-backup.ts";
import {
  decideSchedule,
  type NamedBackup,
  type ScheduleDecision,
  type ScheduleFacts,
} from "./decide-schedule.ts";
import { readScheduleStatus, writeScheduleStatus } from "./schedule-status.ts";

export interface ScheduleReconcilerOptions {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly log: Log;
}

const retryMs = 60_000;

/** Makes Backups of ScheduledBackups. It does not look at how the cluster is: the Backup does. */
export class ScheduleReconciler implements Reconciler {
  readonly kind = "ScheduledBackup";
  readonly #options: ScheduleReconcilerOptions;

  constructor(options: ScheduleReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ResourceKey): Promise<Again> {
    const { store } = this.#options;
    const schedule = store.get(key);
    if (schedule === undefined || schedule.metadata.deletionTimestamp !== undefined) return "never";
    const cluster = store.get({ ...key, kind: "Cluster", name: clusterNameOf(schedule) });
    const decision = decideSchedule(this.#gather(schedule, cluster));
    const created = this.#create(schedule, cluster, decision);
    const { status, events, again } = created ?? decision;
    const written = store.setStatus(key, writeScheduleStatus(status), { ifUid: schedule.metadata.uid });
    if (written === undefined) return "never";
    for (const event of events) store.recordEvent({ about: written, ...event });
    return again;
  }

  affectedBy({ resource, type }: ResourceChange): readonly ResourceKey[] {
    const { namespace, name, labels } = resource.metadata;
    const parent = labels[backupLabels.schedule];
    if (resource.kind === "Backup" && parent !== undefined) {
      // A child that ended may have blocked its schedule.
      const hasEnded = type === "deleted" || isFinished(viewBackup(resource).status);
      return hasEnded ? [{ kind: this.kind, namespace, name: parent }] : [];
    }
    // Its children are owned by it, so there are none without it.
    if (resource.kind !== "Cluster" || type !== "added") return [];
    const schedules = this.#options.store.list({ kind: this.kind, namespace });
    return schedules
      .filter((schedule) => ownerOf(schedule) === "cluster" && clusterNameOf(schedule) === name)
      .map(keyOf);
  }

  #gather(schedule: Resource, cluster: Resource | undefined): ScheduleFacts {
    const { store, clock } = this.#options;
    const { name, namespace, creationTimestamp } = schedule.metadata;
    const text = valueAt(schedule.content, ["spec", "schedule"]);
    return {
      name,
      createdAt: new Date(creationTimestamp),
      schedule: typeof text === "string" ? text : "",
      suspend: valueAt(schedule.content, ["spec", "suspend"]) === true,
      immediate: valueAt(schedule.content, ["spec", "immediate"]) === true,
      obstacle: obstacleOf(schedule, cluster),
      status: readScheduleStatus(schedule.status),
      backups: store.list({ kind: "Backup", namespace }).map((backup) => named(backup, name)),
      now: clock.now(),
    };
  }

  /** Undefined when all went well; else what is decided instead. */
  #create(
    schedule: Resource,
    cluster: Resource | undefined,
    { create }: ScheduleDecision,
  ): Pick<ScheduleDecision, "status" | "events" | "again"> | undefined {
    if (create === undefined) return undefined;
    const { store, log } = this.#options;
    try {
      store.create(childBackup(schedule, cluster, create));
      return undefined;
    } catch (error) {
      log.warn(`could not create Backup "${create.name}" of ${formatKey(keyOf(schedule))}`, {
        error: describeError(error),
      });
      const before = readScheduleStatus(schedule.status);
      return {
        status: { ...before, error: describeError(error) },
        events: [
          { type: "Warning", reason: "BackupCreation", message: "Error while creating backup object" },
        ],
        again: { afterMs: retryMs },
      };
    }
  }
}

/** What CloudNativePG's admission would refuse the Backup for. */
function obstacleOf(schedule: Resource, cluster: Resource | undefined): string | undefined {
  const spec = valueAt(schedule.content, ["spec"]);
  if (
    valueAt(spec, ["method"]) === "plugin" &&
    valueAt(spec, ["pluginConfiguration", "name"]) === undefined
  ) {
    return "spec.pluginConfiguration: cannot be empty when the backup method is plugin";
  }
  if (ownerOf(schedule) === "cluster" && cluster === undefined) {
    return `cluster "${clusterNameOf(schedule)}", which is to own the backup, is not there`;
  }
  return undefined;
}

function named(backup: Resource, schedule: string): NamedBackup {
  const { labels, name, creationTimestamp } = backup.metadata;
  return {
    name,
    isChild: labels[backupLabels.schedule] === schedule,
    isImmediate: labels[backupLabels.immediate] === "true",
    isFinished: isFinished(viewBackup(backup).status),
    createdAt: new Date(creationTimestamp),
  };
}
