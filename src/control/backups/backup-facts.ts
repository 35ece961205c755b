import { describeError } from "../../common/errors.ts";
import type { Clock } from "../../common/clock.ts";
import type { InstanceStatus } from "../../instance/instance-status.ts";
import { archiveOf, type ClusterArchive } from "../clusters/cluster-archive.ts";
import type { ClusterInstances } from "../clusters/cluster-instances.ts";
import { rememberedStatus } from "../clusters/cluster-status.ts";
import { viewCluster, type ClusterView } from "../clusters/cluster-view.ts";
import type { Resolution } from "../clusters/store-resolution.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { viewBackup, type BackupView } from "./backup-view.ts";

/** All that a decision about a Backup is made from. */
export interface BackupFacts {
  readonly backup: BackupView;
  /** Undefined when there is none of the name. */
  readonly cluster: BackupCluster | undefined;
  /** The other Backups of the same cluster. */
  readonly others: readonly BackupView[];
  readonly instances: readonly BackupInstance[];
  readonly now: Date;
}

export interface BackupCluster {
  readonly uid: string;
  /** Where it archives to, and what it says of backups; or why nobody knows. */
  readonly settings: Resolution<{ readonly view: ClusterView; readonly archive: Resolution<ClusterArchive> }>;
  readonly currentPrimary: string | undefined;
  /** What is wrong with its archiving; undefined while nothing is known to be. */
  readonly archivingTrouble: string | undefined;
  readonly isUpgrading: boolean;
}

export interface BackupInstance {
  readonly name: string;
  /** Undefined while it does not answer. */
  readonly status: InstanceStatus | undefined;
}

export interface BackupFactSources {
  readonly store: ResourceStore;
  readonly instances: ClusterInstances;
  readonly clock: Clock;
}

/** CloudNativePG's phase of a Cluster whose PostgreSQL is being upgraded. */
const upgradingPhase = "Upgrading Postgres major version";

export function gatherBackupFacts(backup: BackupView, sources: BackupFactSources): BackupFacts {
  const { store, instances, clock } = sources;
  const { namespace } = backup.resource.metadata;
  const key: ResourceKey = { kind: "Cluster", namespace, name: backup.clusterName };
  return {
    backup,
    cluster: findCluster(store, key),
    others: backupsOf(store, key).filter(({ uid }) => uid !== backup.uid),
    instances: instances.of(key),
    now: clock.now(),
  };
}

/** All Backups that name this cluster. */
export function backupsOf(store: ResourceStore, cluster: ResourceKey): readonly BackupView[] {
  return store
    .list({ kind: "Backup", namespace: cluster.namespace })
    .map(viewBackup)
    .filter(({ clusterName }) => clusterName === cluster.name);
}

function findCluster(store: ResourceStore, key: ResourceKey): BackupCluster | undefined {
  const resource = store.get(key);
  if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) return undefined;
  const { currentPrimary, conditions, phase } = rememberedStatus(resource.status);
  const archiving = conditions.find(({ type }) => type === "ContinuousArchiving");
  const facts = {
    uid: resource.metadata.uid,
    currentPrimary,
    archivingTrouble: archiving?.status === "False" ? archiving.message : undefined,
    isUpgrading: phase === upgradingPhase,
  };
  try {
    const view = viewCluster(resource);
    return { ...facts, settings: { kind: "ok", value: { view, archive: archiveOf(view, store) } } };
  } catch (error) {
    return { ...facts, settings: { kind: "missing", problems: [describeError(error)] } };
  }
}
