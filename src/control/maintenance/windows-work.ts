import type { Clock } from "../../common/clock.ts";
import { describeError, isEngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { finishedBackups, readCatalogue } from "../../repository/catalogue.ts";
import { readIdentity } from "../../repository/identity.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import { archivedObjects } from "../archived-objects.ts";
import { backupsOf } from "../backups/backup-facts.ts";
import { backupPhases } from "../backups/backup-status.ts";
import { destinationsOf } from "../backups/start-backup.ts";
import type { ClusterRepositories, ClusterRepository } from "../clusters/cluster-repositories.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { knownArchive, maintenanceIntervalMs } from "./cluster-stores.ts";
import type { RepositoryWindow, WindowTable } from "./cluster-windows.ts";
import { goneBackups } from "./gone-backups.ts";
import type { IntervalWork } from "./interval-work.ts";

export const windowsWorkName = "windows";

/** CloudNativePG's plugin waits so long after an error. */
export const retryMs = 5 * 60_000;

export interface WindowsWorkOptions {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  readonly table: WindowTable;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when a cluster's windows have been read: statuses that show them are old. */
  readonly onRead: (cluster: ResourceKey) => void;
}

interface Reading {
  readonly window: RepositoryWindow;
  /** IDs below `base/`; undefined when they could not be read, or nobody can tell that the repository is really there. */
  readonly ids: ReadonlySet<string> | undefined;
  readonly failure: unknown;
}

/** Reads what each repository of a Cluster or Server can restore, and deletes Backups whose data is in none of them any more. */
export function windowsWork(options: WindowsWorkOptions): IntervalWork {
  return {
    name: windowsWorkName,
    retryMs,
    failure: {
      reason: "RecoveryWindowUnknown",
      message: "Could not read what the repositories can restore",
    },
    intervalMs: (cluster) => {
      const archive = knownArchive(cluster, options.store);
      return archive && maintenanceIntervalMs(archive);
    },
    // A store that was added, left out or moved: what is shown is of the others then.
    dependsOn: (cluster) => {
      const archive = knownArchive(cluster, options.store);
      return archive === undefined ? "" : JSON.stringify(destinationsOf(archive));
    },
    run: async (cluster, signal) => readWindows(cluster, options, signal),
  };
}

async function readWindows(
  cluster: Resource,
  options: WindowsWorkOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store, table, onRead } = options;
  table.keep(archivedObjects(store));
  // Those of a Server are no objects.
  const backups = cluster.kind === "Cluster" ? backupsOf(store, keyOf(cluster)) : [];
  const archive = knownArchive(cluster, store);
  const destinations = archive === undefined ? [] : destinationsOf(archive);
  const readings = await readAll(cluster, options, signal).catch((error: unknown) => {
    if (isNotBegunYet(cluster, backups, error)) return undefined;
    throw error;
  });
  if (readings === undefined) return;
  if (readings.some(({ failure }) => isNotBegunYet(cluster, backups, failure))) return;
  table.set(
    cluster,
    readings.map(({ window }) => window),
  );
  onRead(keyOf(cluster));
  const failure = readings.find((reading) => reading.failure !== undefined)?.failure;
  if (failure !== undefined) throw failure;
  const catalogues = readings.flatMap(({ ids }) => ids ?? []);
  // One that is not known may hold what the others have not.
  if (catalogues.length < readings.length || catalogues.length !== destinations.length) return;
  for (const { resource } of goneBackups({
    clusterUid: cluster.metadata.uid,
    backups,
    destinations,
    catalogues,
  })) {
    deleteGone(resource, options);
  }
}

/** A directory that the first WAL or backup of a new cluster will make. Once anything can be restored, its absence is news. */
function isNotBegunYet({ status }: Resource, backups: ReturnType<typeof backupsOf>, error: unknown): boolean {
  return (
    isEngineError(error, "store-missing") &&
    valueAt(status, ["firstRecoverabilityPoint"]) === undefined &&
    !backups.some(({ status: { phase } }) => phase === backupPhases.completed)
  );
}

async function readAll(
  cluster: Resource,
  { repositories, table, clock }: WindowsWorkOptions,
  signal: AbortSignal,
): Promise<readonly Reading[]> {
  const before = table.of(cluster) ?? [];
  try {
    const targets = await repositories.of(cluster);
    const readings: Reading[] = [];
    for (const target of targets) {
      const known = before.find(({ repository }) => repository === target.repository.name);
      readings.push(await readOne(target, known, { clock, signal }));
    }
    return readings;
  } catch (failure) {
    if (signal.aborted || before.length === 0) throw failure;
    const error = describeError(failure);
    return before.map((window) => ({ window: { ...window, error }, ids: undefined, failure }));
  }
}

async function readOne(
  { repository, objectStore }: ClusterRepository,
  known: RepositoryWindow | undefined,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Reading> {
  const names = { repository: repository.name, objectStore, serverName: repository.server };
  try {
    const identity = await readIdentity(repository, signal);
    const catalogue = await readCatalogue(repository, signal);
    const finished = finishedBackups(catalogue);
    return {
      window: {
        ...names,
        readAt: clock.now(),
        firstRecoverabilityPoint: finished[0]?.info.endTime,
        lastSuccessfulBackupTime: finished.at(-1)?.info.endTime,
        backupCount: finished.length,
        error: undefined,
      },
      // Without an identity it is new, or the empty mount point of a disk that is not there.
      ids: identity === undefined ? undefined : new Set<string>(catalogue.map(({ id }) => id)),
      failure: undefined,
    };
  } catch (failure) {
    if (signal.aborted) throw failure;
    const last = known ?? {
      ...names,
      readAt: undefined,
      firstRecoverabilityPoint: undefined,
      lastSuccessfulBackupTime: undefined,
    };
    return { window: { ...last, error: describeError(failure) }, ids: undefined, failure };
  }
}

function deleteGone(backup: Resource, { store, log }: WindowsWorkOptions): void {
  const key = keyOf(backup);
  if (store.delete(key, { ifUid: backup.metadata.uid }) === "absent") return;
  store.recordEvent({
    about: backup,
    type: "Normal",
    reason: "BackupExpired",
    message: "Deleted: its data is in no repository of the cluster any more",
  });
  log.info(`deleted ${formatKey(key)}: its data is in no repository any more`);
}
