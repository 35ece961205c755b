import { EngineError } from "../../common/errors.ts";
import { barmanPlugin, storeNames } from "../../manifest/lint/cluster-stores.ts";
import { parseTargetTime } from "../../postgres/recovery-settings-time.ts";
import { readBackupStatus } from "../backups/backup-status.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { archiveOf } from "./cluster-archive.ts";
import { viewCluster, type ClusterSpec, type ClusterView } from "./cluster-view.ts";
import {
  defaultRetentionIntervalSeconds,
  describeObjectStore,
  missing,
  type Resolution,
  type StoreDescription,
} from "./store-resolution.ts";

export type Recovery = NonNullable<NonNullable<ClusterSpec["bootstrap"]>["recovery"]>;
type ExternalCluster = NonNullable<ClusterSpec["externalClusters"]>[number];

/** What a cluster is to be recovered from. */
export interface RecoverySource {
  readonly serverName: string;
  readonly stores: readonly StoreDescription[];
  /** ID of the base backup, or `auto`. */
  readonly backup: string;
}

/** Like a resolution, and besides: not there yet, but it may come. */
export type SourceResolution =
  | Resolution<RecoverySource>
  | { readonly kind: "waiting"; readonly reason: string };

/** By `source`, else by `backup`, as CloudNativePG does where both are given and the source has a plugin. */
export function recoverySourceOf(
  view: ClusterView,
  recovery: Recovery,
  store: ResourceStore,
): SourceResolution {
  const backup = recovery.recoveryTarget?.backupID ?? "auto";
  if (recovery.source !== undefined) return externalSource(view, recovery.source, backup, store);
  if (recovery.backup !== undefined) return backupSource(view, recovery.backup.name, store);
  return missing("bootstrap.recovery names neither a source nor a backup");
}

/** The stores of an entry of `externalClusters`. */
function externalSource(
  view: ClusterView,
  name: string,
  backup: string,
  store: ResourceStore,
): SourceResolution {
  const external = view.spec.externalClusters?.find((entry) => entry.name === name);
  if (external === undefined) return missing(`external cluster "${name}" is not in spec.externalClusters`);
  const descriptions = externalStores(view, external, store);
  if (descriptions.kind === "missing") return descriptions;
  const [first, ...further] = descriptions.value;
  return {
    kind: "ok",
    value: { serverName: first.serverName, stores: [first, ...further], backup },
  };
}

function externalStores(
  view: ClusterView,
  external: ExternalCluster,
  store: ResourceStore,
): Resolution<readonly [StoreDescription, ...StoreDescription[]]> {
  const { plugin, barmanObjectStore: inTree, name } = external;
  if (plugin !== undefined) {
    const storeName = plugin.parameters?.["barmanObjectName"];
    if (plugin.name !== barmanPlugin || storeName === undefined) {
      return missing(`external cluster "${name}" names no ObjectStore of the plugin ${barmanPlugin}`);
    }
    // The plugin's default is the new cluster's name.
    const serverName = plugin.parameters?.["serverName"] ?? view.name;
    const first = describeObjectStore(store, view.namespace, storeName, serverName);
    const others = new Set(storeNames(plugin.parameters ?? {}));
    others.delete(storeName);
    const further = [...others].map((name) => describeObjectStore(store, view.namespace, name, serverName));
    const problems = [first, ...further].flatMap((item) => (item.kind === "missing" ? item.problems : []));
    if (first.kind === "missing" || problems.length > 0) return { kind: "missing", problems };
    return {
      kind: "ok",
      value: [first.value, ...further.flatMap((item) => (item.kind === "ok" ? [item.value] : []))],
    };
  }
  if (inTree === undefined) {
    return missing(`external cluster "${name}" has no store to recover from`);
  }
  return {
    kind: "ok",
    value: [
      {
        name,
        objectStore: undefined,
        serverName: inTree.serverName ?? name,
        configuration: inTree,
        retentionPolicy: undefined,
        retentionIntervalSeconds: defaultRetentionIntervalSeconds,
        environment: {},
      },
    ],
  };
}

/** The repositories of the cluster that a Backup object is of, and the ID of its data. */
function backupSource(view: ClusterView, name: string, store: ResourceStore): SourceResolution {
  const { namespace } = view;
  const backup = store.get({ kind: "Backup", namespace, name });
  if (backup === undefined) {
    return { kind: "waiting", reason: `Backup "${name}" is not in namespace "${namespace}"` };
  }
  const { phase, backupId } = backup.status ?? {};
  if (phase === "failed") return missing(`Backup "${name}" has failed`);
  if (phase !== "completed" || typeof backupId !== "string") {
    return { kind: "waiting", reason: `Backup "${name}" is not completed yet` };
  }
  const spec = backup.content["spec"] as { readonly cluster?: { readonly name?: string } } | undefined;
  const origin = store.get({ kind: "Cluster", namespace, name: spec?.cluster?.name ?? "" });
  if (origin === undefined) {
    return missing(
      `Backup "${name}" is of Cluster "${spec?.cluster?.name ?? ""}", which is gone: name its store in externalClusters and recover by source`,
    );
  }
  const archive = archiveOf(viewCluster(origin), store);
  if (archive.kind === "missing") return archive;
  const { serverName, stores } = archive.value;
  if (stores.length === 0) return missing(`Cluster "${origin.metadata.name}" has no store any more`);
  const { destinations = [] } = readBackupStatus(backup.status);
  // Those that did not get it when it was taken are asked last.
  const lacks = (objectStore: string | undefined) =>
    destinations.some((place) => place.objectStore === objectStore && place.error !== undefined);
  const ordered = stores.toSorted((a, b) => Number(lacks(a.objectStore)) - Number(lacks(b.objectStore)));
  return { kind: "ok", value: { serverName, stores: ordered, backup: backupId } };
}

export type WantedTarget =
  | { readonly kind: "latest" | "immediate" }
  | { readonly kind: "time"; readonly time: string; readonly inclusive: boolean }
  | { readonly kind: "lsn"; readonly lsn: string; readonly inclusive: boolean }
  | { readonly kind: "xid"; readonly xid: string; readonly inclusive: boolean }
  | { readonly kind: "name"; readonly name: string };

/** The target in our words; times with their zone, UTC where none is given. Throws `manifest` for several. */
export function wantedTarget({ recoveryTarget: given = {} }: Recovery): WantedTarget {
  const inclusive = given.exclusive !== true;
  const targets: WantedTarget[] = [];
  if (given.targetTime !== undefined && given.targetTime !== "") {
    targets.push({ kind: "time", time: parseTargetTime(given.targetTime).canonical, inclusive });
  }
  if (given.targetLSN !== undefined && given.targetLSN !== "") {
    targets.push({ kind: "lsn", lsn: given.targetLSN, inclusive });
  }
  if (given.targetXID !== undefined && given.targetXID !== "") {
    targets.push({ kind: "xid", xid: given.targetXID, inclusive });
  }
  if (given.targetName !== undefined && given.targetName !== "") {
    targets.push({ kind: "name", name: given.targetName });
  }
  if (given.targetImmediate === true) targets.push({ kind: "immediate" });
  const [target = { kind: "latest" } as const] = targets;
  if (targets.length <= 1) return target;
  throw new EngineError("manifest", "recoveryTarget names several targets, which exclude each other", {
    hint: "Leave one of them.",
  });
}

/** `targetTLI`: empty and `latest` are the same. */
export function wantedTimeline({ recoveryTarget }: Recovery): "latest" | number {
  const text = recoveryTarget?.targetTLI ?? "latest";
  return text === "" || text === "latest" ? "latest" : Number(text);
}
