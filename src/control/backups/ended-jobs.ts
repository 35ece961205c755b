import type { BackupInstance } from "./backup-facts.ts";
import { isFinished } from "./backup-status.ts";
import type { BackupView } from "./backup-view.ts";

/** A job that an instance may forget. */
export interface EndedJob {
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
): readonly EndedJob[] {
  const open = new Set(backups.filter(({ status }) => !isFinished(status)).map(({ uid }) => uid));
  return instances.flatMap(({ name, status }) =>
    (status?.backups ?? [])
      .filter(({ id, state }) => state !== "running" && !open.has(id))
      .map(({ id }) => ({ instance: name, id })),
  );
}
