import { tidemarkVersion } from "../../common/version.ts";
import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { ClusterArchive } from "../clusters/cluster-archive.ts";
import type { StoreDescription } from "../clusters/store-resolution.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { BackupDecision } from "./backup-decision.ts";
import type { BackupFacts, BackupInstance } from "./backup-facts.ts";
import type { Prerequisites } from "./backup-prerequisites.ts";
import { backupPhases, type BackupMethod, type BackupStatus } from "./backup-status.ts";
import { compactTimestamp } from "./compact-timestamp.ts";

/** A running one is looked at often: it says how far it is. */
export const followMs = 2000;

/**
 * Asks an instance for the backup. The status comes first: a crash in between leaves one that says `started` and an
 * instance that knows of nothing, which is then asked again under the same ID.
 */
export function startBackup(
  facts: BackupFacts,
  instance: BackupInstance,
  { method, archive }: Extract<Prerequisites, { kind: "met" }>,
): BackupDecision {
  const { backup, cluster, now } = facts;
  const { status } = backup;
  const postgres = instance.status?.postgres;
  const name = `backup-${compactTimestamp(now)}`;
  return {
    status: {
      ...status,
      phase: backupPhases.started,
      error: undefined,
      waiting: undefined,
      method,
      backupName: name,
      startedAt: toTimestamp(now),
      reconciliationStartedAt: status.reconciliationStartedAt ?? toTimestamp(now),
      instanceID: { podName: instance.name, sessionID: sessionOf(instance) },
      instanceRole: postgres?.role,
      majorVersion: postgres && Number.parseInt(postgres.version, 10),
      online: true,
      attempts: (status.attempts ?? 0) + 1,
      clusterUID: cluster?.uid,
      destinations: destinationsOf(archive),
      ...placeOf(method, archive),
      pluginMetadata: method === "plugin" ? pluginMetadata(cluster?.uid ?? "") : undefined,
    },
    events: [{ type: "Normal", reason: "Starting", message: "Backup started" }],
    tell: [{ instance: instance.name, request: { op: "backup", id: backup.uid, name } }],
    again: { afterMs: followMs },
  };
}

/** Another one after each start of the instance's process. */
export function sessionOf({ status }: BackupInstance): string {
  return status === undefined ? "" : `${status.pid}@${status.startedAt}`;
}

export function destinationsOf({ stores }: ClusterArchive): NonNullable<BackupStatus["destinations"]> {
  return stores.map(({ objectStore, serverName, configuration }) => ({
    ...(objectStore === undefined ? {} : { objectStore }),
    destinationPath: configuration.destinationPath,
    ...(configuration.endpointURL === undefined ? {} : { endpointURL: configuration.endpointURL }),
    serverName,
  }));
}

/** Of the repository that CloudNativePG would know: the plugin's first one, or the in-tree one. */
function placeOf(method: BackupMethod, { stores }: ClusterArchive): BackupStatus {
  const inTree =
    method === "plugin" ? undefined : stores.find(({ objectStore }) => objectStore === undefined);
  const store = inTree ?? stores[0];
  if (store === undefined) return {};
  const { configuration, serverName } = store;
  return {
    destinationPath: configuration.destinationPath,
    endpointURL: configuration.endpointURL,
    serverName,
    ...(method === "plugin" ? {} : inTreePlaceOf(store)),
  };
}

/** References only: what they refer to stays in its Secret. */
function inTreePlaceOf({ configuration }: StoreDescription): BackupStatus {
  return {
    endpointCA: configuration.endpointCA,
    encryption: configuration.data?.encryption,
    s3Credentials: configuration.s3Credentials,
    azureCredentials: configuration.azureCredentials,
    googleCredentials: configuration.googleCredentials,
  };
}

/** What the plugin says of itself; its timeline follows at the end. */
function pluginMetadata(clusterUID: string): Record<string, string> {
  return {
    name: barmanPlugin,
    displayName: "Tidemark",
    version: tidemarkVersion,
    clusterUID,
    pluginName: barmanPlugin,
  };
}
