import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { WantedTarget } from "../../control/clusters/recovery-bootstrap.ts";
import type { ClusterObject } from "./cluster-resource.ts";
import { targetFields } from "./cluster-target.ts";

/** What the control plane said about where the data would come from. */
export interface RestoredFrom {
  readonly objectStore: string | null;
  /** Besides it: what it lacks comes from these. CloudNativePG asks the first one alone. */
  readonly furtherObjectStores: readonly string[];
  readonly serverName: string;
  readonly backupId: string;
  /** Whether the backup was asked for: another one must not be taken then. */
  readonly isBackupGiven: boolean;
  readonly timeline: "latest" | number;
  readonly major: number;
}

/**
 * The manifest of a new cluster with another one's data: same PostgreSQL, storage and parameters, recovered from the other's
 * archive, and archiving below its own name. CloudNativePG takes it as well.
 */
export function restoredCluster(
  origin: ClusterObject,
  as: string,
  target: WantedTarget,
  from: RestoredFrom,
): Record<string, unknown> {
  const { spec, metadata } = origin;
  // CloudNativePG needs the backup's ID for targets from which it cannot find one.
  const needsBackup =
    from.isBackupGiven || target.kind === "xid" || target.kind === "name" || target.kind === "immediate";
  const fields = {
    ...targetFields(target),
    ...(needsBackup ? { backupID: from.backupId } : {}),
    ...(from.timeline === "latest" ? {} : { targetTLI: String(from.timeline) }),
  };
  const recoveryTarget = Object.keys(fields).length === 0 ? {} : { recoveryTarget: fields };
  const inTree = spec.backup?.barmanObjectStore;
  const isInTree = from.objectStore === null;
  const source = isInTree
    ? { name: metadata.name, barmanObjectStore: { ...asRecord(inTree), serverName: from.serverName } }
    : {
        name: metadata.name,
        plugin: {
          name: barmanPlugin,
          parameters: {
            barmanObjectName: from.objectStore,
            ...(from.furtherObjectStores.length === 0
              ? {}
              : { additionalObjectNames: from.furtherObjectStores.join(", ") }),
            serverName: from.serverName,
          },
        },
      };
  return {
    apiVersion: "postgresql.cnpg.io/v1",
    kind: "Cluster",
    metadata: { name: as, namespace: metadata.namespace },
    spec: {
      instances: 1,
      imageName: spec.imageName ?? `ghcr.io/cloudnative-pg/postgresql:${from.major}`,
      ...(spec.storage === undefined ? {} : { storage: spec.storage }),
      ...("postgresql" in spec ? { postgresql: spec["postgresql"] } : {}),
      bootstrap: { recovery: { source: metadata.name, ...recoveryTarget } },
      externalClusters: [source],
      ...ownArchive(origin),
    },
  };
}

/** The stores of the origin, all of them, but below the new cluster's own name. */
function ownArchive({ spec }: ClusterObject): Record<string, unknown> {
  const { barmanObjectStore: inTree, ...backup } = asRecord(spec.backup);
  const { serverName: _origins, ...store } = asRecord(inTree);
  const plugins = (spec.plugins ?? [])
    .filter(({ name, enabled }) => name === barmanPlugin && enabled !== false)
    .map(({ parameters = {}, ...entry }) => {
      const { serverName: _name, ...others } = parameters;
      return { ...entry, parameters: others };
    });
  return {
    ...(spec.backup === undefined
      ? {}
      : { backup: { ...backup, ...(inTree === undefined ? {} : { barmanObjectStore: store }) } }),
    ...(plugins.length === 0 ? {} : { plugins }),
  };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
