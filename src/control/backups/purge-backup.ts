import { deleteBackup } from "../../backup/delete-backup.ts";
import type { Clock } from "../../common/clock.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import type { ClusterRepositories } from "../clusters/cluster-repositories.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, type ResourceKey } from "../resources/resource.ts";
import { isFinished } from "./backup-status.ts";
import { viewBackup } from "./backup-view.ts";

/** What goes from one repository with a Backup that is purged. */
export interface PurgedData {
  readonly repository: string;
  readonly backupId: string;
  readonly objects: number;
  readonly bytes: number;
  readonly walObjects: number;
  readonly walBytes: number;
}

export interface PurgeOptions {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  readonly clock: Clock;
  /** Only says what would go. */
  readonly dryRun: boolean;
  /** Also the last good backup of a repository. Never one with a keep mark. */
  readonly force: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes the data of a Backup from every repository of its cluster, with the WAL that only it needed, and then the Backup
 * itself. Everything is looked at before anything is deleted: one repository that refuses, and nothing is. Safe to repeat.
 *
 * @throws EngineError `resource-missing`, `locked` for one that is not finished, `backup-kept` for the last good one and for one
 * with a keep mark, and what the stores throw.
 */
export async function purgeBackup(key: ResourceKey, options: PurgeOptions): Promise<readonly PurgedData[]> {
  const { store, dryRun } = options;
  const backup = viewBackup(store.require(key));
  if (!isFinished(backup.status)) {
    throw new EngineError("locked", `${formatKey(key)} is not finished`, {
      hint: "Delete it without its data: a backup that is given up leaves nothing.",
    });
  }
  const { backupId = "" } = backup.status;
  const planned =
    backupId === ""
      ? []
      : await deleteEverywhere(key, backup.clusterName, backupId, { ...options, dryRun: true });
  if (planned.length === 0) throw nothingFound(key, backupId);
  if (dryRun) return planned;
  await deleteEverywhere(key, backup.clusterName, backupId, options);
  store.delete(key, { ifUid: backup.uid });
  return planned;
}

/** Its cluster may write elsewhere by now: then its data are still where they were. */
function nothingFound(key: ResourceKey, backupId: string): EngineError {
  const what = backupId === "" ? "its data" : `its data "${backupId}"`;
  return new EngineError("backup-absent", `${formatKey(key)}: ${what} are in no repository of its cluster`, {
    hint: "Delete it without --purge; if its cluster had another store then, look there with tidemark base list.",
  });
}

async function deleteEverywhere(
  { namespace }: ResourceKey,
  clusterName: string,
  backupId: string,
  { store, repositories, clock, dryRun, force, signal }: PurgeOptions,
): Promise<readonly PurgedData[]> {
  const cluster = store.require({ kind: "Cluster", namespace, name: clusterName });
  const purged: PurgedData[] = [];
  for (const { repository } of await repositories.of(cluster)) {
    try {
      const { objects, bytes, wal } = await deleteBackup({
        repository,
        backup: backupId,
        now: clock.now(),
        dryRun,
        force,
        ...(signal === undefined ? {} : { signal }),
      });
      const pruned = wal.kind === "prune" ? wal : { objects: [], bytes: 0 };
      purged.push({
        repository: repository.name,
        backupId,
        objects,
        bytes,
        walObjects: pruned.objects.length,
        walBytes: pruned.bytes,
      });
    } catch (error) {
      // It is gone from there already: by retention, by hand, or by a purge that was cut short.
      if (!isEngineError(error, "backup-absent")) throw error;
    }
  }
  return purged;
}
