import type { BackupInstance } from "./backup-facts.ts";
import { isFinished } from "./backup-status.ts";
import type { BackupView } from "./backup-view.ts";

/** A job of an instance. */
export interface InstanceJob {
  readonly instance: string;
  readonly id: string;
}

/**
 * Jobs that have ended and that nobody will ask about any more: what they said stands in their Backup's status, or their
 * Backup was deleted.
 */
export function endedJobs(
  instances: readonly BackupInstance[],
  backups: readonly BackupView[],
): readonly InstanceJob[] {
  const open = new Set(backups.filter(({ status }) => !isFinished(status)).map(({ uid }) => uid));
  return instances.flatMap(({ name, status }) =>
    (status?.backups ?? [])
      .filter(({ id, state }) => state !== "running" && !open.has(id))
      .map(({ id }) => ({ instance: name, id })),
  );
}

/** Jobs that run for Backups that were deleted meanwhile: they only keep others waiting. */
export function orphanedJobs(
  instances: readonly BackupInstance[],
  backups: readonly BackupView[],
): readonly InstanceJob[] {
  const known = new Set(backups.map(({ uid }) => uid));
  return instances.flatMap(({ name, status }) =>
    (status?.backups ?? [])
      .filter(({ id, state }) => state === "running" && !known.has(id))
      .map(({ id }) => ({ instance: name, id })),
  );
}
