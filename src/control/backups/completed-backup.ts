import type { BackupJob } from "../../instance/instance-status.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { BackupDecision, BackupEvent } from "./backup-decision.ts";
import type { BackupFacts } from "./backup-facts.ts";
import { backupPhases, type BackupStatus } from "./backup-status.ts";
import { describeMissing, missingCopies, withMissing } from "./missing-copies.ts";

/** The end of a backup that is whole and visible: its facts, as `backup.info` has them, and where it is. */
export function completed(facts: BackupFacts, job: BackupJob): BackupDecision {
  const { status } = facts.backup;
  const { result } = job;
  const now = toTimestamp(facts.now);
  const stoppedAt = result?.endTime ?? job.stoppedAt;
  const destinations = withMissing(status.destinations ?? [], result?.missing);
  return {
    status: {
      ...status,
      phase: backupPhases.completed,
      error: undefined,
      waiting: undefined,
      progress: undefined,
      backupId: job.backupId ?? status.backupId,
      startedAt: result === undefined ? status.startedAt : wholeSeconds(result.beginTime),
      stoppedAt: stoppedAt === undefined ? now : wholeSeconds(stoppedAt),
      reconciliationTerminatedAt: now,
      beginWal: result?.beginWal,
      endWal: result?.endWal,
      beginLSN: result?.beginLsn,
      endLSN: result?.endLsn,
      storedBytes: result?.storedBytes,
      damagedPages: result === undefined || result.damagedPages === 0 ? undefined : result.damagedPages,
      ...placesOf(status, destinations),
      pluginMetadata:
        status.pluginMetadata === undefined || result === undefined
          ? status.pluginMetadata
          : { ...status.pluginMetadata, timeline: String(result.timeline) },
    },
    events: [
      { type: "Normal", reason: "Completed", message: "Backup completed" },
      ...damageEvents(result?.damagedPages ?? 0),
      ...missingEvents(destinations),
    ],
    tell: [],
    again: "never",
  };
}

/** The one place that CloudNativePG's fields have room for is one that has the backup. */
function placesOf(
  { method, destinations: before }: BackupStatus,
  destinations: NonNullable<BackupStatus["destinations"]>,
): BackupStatus {
  if (before === undefined) return {};
  const first = destinations.find(({ error }) => error === undefined);
  if (method !== "plugin" || first === undefined || first === destinations[0]) return { destinations };
  const { destinationPath, endpointURL, serverName } = first;
  return { destinations, destinationPath, endpointURL, serverName };
}

function missingEvents(destinations: NonNullable<BackupStatus["destinations"]>): readonly BackupEvent[] {
  const missing = missingCopies(destinations);
  if (missing.length === 0) return [];
  const message = `the backup is complete and can be restored, but it is not in ${describeMissing(missing)}`;
  return [{ type: "Warning", reason: "BackupPartial", message }];
}

function damageEvents(pages: number): readonly BackupEvent[] {
  if (pages === 0) return [];
  const message = `the backup is complete, but ${pages} pages with wrong checksums were read: look at the server's disk`;
  return [{ type: "Warning", reason: "DamagedPages", message }];
}

function wholeSeconds(time: string): string {
  return toTimestamp(new Date(time));
}
