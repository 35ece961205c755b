import type { BackupDestination } from "../backups/backup-status.ts";
import { backupPhases } from "../backups/backup-status.ts";
import type { BackupView } from "../backups/backup-view.ts";

export interface GoneFacts {
  readonly clusterUid: string;
  /** Listed before the repositories were read: what has finished since is in none of the lists below. */
  readonly backups: readonly BackupView[];
  /** Where the cluster archives to now. */
  readonly destinations: readonly BackupDestination[];
  /** IDs below `base/` of each of them, whatever state the backup is in. */
  readonly catalogues: readonly ReadonlySet<string>[];
}

/**
 * Backups whose data is nowhere any more: retention or somebody deleted it. A Backup stays that was taken by another
 * cluster of the name, or went to a place that is none of the cluster's now: nobody has looked there.
 */
export function goneBackups({
  clusterUid,
  backups,
  destinations,
  catalogues,
}: GoneFacts): readonly BackupView[] {
  const isStored = (id: string) => catalogues.some((ids) => ids.has(id));
  return backups.filter(({ status }) => {
    const { phase, backupId, clusterUID, destinations: places = [] } = status;
    return (
      phase === backupPhases.completed &&
      clusterUID === clusterUid &&
      backupId !== undefined &&
      places.length > 0 &&
      places.every((place) => destinations.some((known) => isSamePlace(known, place))) &&
      !isStored(backupId)
    );
  });
}

function isSamePlace(a: BackupDestination, b: BackupDestination): boolean {
  return (
    a.objectStore === b.objectStore &&
    a.serverName === b.serverName &&
    a.destinationPath === b.destinationPath &&
    a.endpointURL === b.endpointURL
  );
}
