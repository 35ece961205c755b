import { createLog } from "../../../common/log.ts";
import { ManualClock } from "../../loop/testing/manual-clock.ts";
import type { ResourceStore } from "../../resources/resource-store.ts";
import type { ResourceKey } from "../../resources/resource.ts";
import { temporaryResources } from "../../resources/testing/temporary-resources.ts";
import { BackupReconciler } from "../backup-reconciler.ts";
import { readBackupStatus, type BackupStatus } from "../backup-status.ts";
import { backupDraft, clusterDraft, objectStoreDraft } from "./sample-objects.ts";
import { ScriptedInstance, ScriptedInstances } from "./scripted-instances.ts";

/** A store with a Cluster and its ObjectStore, its instances, and the reconciler of Backups, called by hand. */
export interface BackupControl {
  readonly clock: ManualClock;
  readonly store: ResourceStore;
  readonly instances: ScriptedInstances;
  readonly primary: ScriptedInstance;
  readonly reconciler: BackupReconciler;
  readonly warnings: string[];
  /** Clusters of which a Backup has ended. */
  readonly finished: ResourceKey[];
  /** Makes a Backup and gives its uid, which is the ID of its job. */
  add(name: string, spec?: Readonly<Record<string, unknown>>): string;
  reconcile(name: string): ReturnType<BackupReconciler["reconcile"]>;
  status(name: string): BackupStatus;
  /** `Warning Reason: message` of all events so far. */
  events(): readonly string[];
  /** What the Cluster reconciler would write. */
  setCluster(status: Readonly<Record<string, unknown>>): void;
}

export const cluster: ResourceKey = { kind: "Cluster", namespace: "production", name: "pg" };

export function backupKey(name: string): ResourceKey {
  return { kind: "Backup", namespace: "production", name };
}

export async function backupControl(
  given: { readonly cluster?: Parameters<typeof clusterDraft> | "none"; readonly standbys?: number } = {},
): Promise<BackupControl> {
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const store = await (await temporaryResources()).open(clock);
  const primary = new ScriptedInstance("pg-1", { clock });
  const standbys = Array.from(
    { length: given.standbys ?? 0 },
    (_, index) => new ScriptedInstance(`pg-${index + 2}`, { clock, role: "standby" }),
  );
  const instances = new ScriptedInstances(primary, ...standbys);
  const warnings: string[] = [];
  const finished: ResourceKey[] = [];
  const log = createLog((level, message, { error }) => {
    if (level === "warn" || level === "error") warnings.push(`${message}: ${error}`);
  });
  const reconciler = new BackupReconciler({
    store,
    instances,
    clock,
    log,
    onFinished: (key) => finished.push(key),
  });
  store.create(objectStoreDraft("/backups"));
  const setCluster = (status: Readonly<Record<string, unknown>>) => store.setStatus(cluster, status, {});
  if (given.cluster !== "none") {
    store.create(clusterDraft(...(given.cluster ?? [])));
    setCluster({ currentPrimary: "pg-1" });
  }
  const signal = new AbortController().signal;
  return {
    clock,
    store,
    instances,
    primary,
    reconciler,
    warnings,
    finished,
    add: (name, spec) => store.create(backupDraft(name, spec)).metadata.uid,
    reconcile: async (name) => reconciler.reconcile(backupKey(name), signal),
    status: (name) => readBackupStatus(store.require(backupKey(name)).status),
    events: () => store.events().map(({ type, reason, message }) => `${type} ${reason}: ${message}`),
    setCluster,
  };
}
