import type { BackupJob } from "../../instance/instance-status.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { BackupDecision, BackupEvent } from "./backup-decision.ts";
import type { BackupFacts } from "./backup-facts.ts";
import { backupPhases } from "./backup-status.ts";

/** The end of a backup that is whole and visible in every repository: its facts, as `backup.info` has them. */
export function completed(facts: BackupFacts, job: BackupJob): BackupDecision {
  const { status } = facts.backup;
  const { result } = job;
  const now = toTimestamp(facts.now);
  const stoppedAt = result?.endTime ?? job.stoppedAt;
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
      pluginMetadata:
        status.pluginMetadata === undefined || result === undefined
          ? status.pluginMetadata
          : { ...status.pluginMetadata, timeline: String(result.timeline) },
    },
    events: [
      { type: "Normal", reason: "Completed", message: "Backup completed" },
      ...damageEvents(result?.damagedPages ?? 0),
    ],
    tell: [],
    again: "never",
  };
}

function damageEvents(pages: number): readonly BackupEvent[] {
  if (pages === 0) return [];
  const message = `the backup is complete, but ${pages} pages with wrong checksums were read: look at the server's disk`;
  return [{ type: "Warning", reason: "DamagedPages", message }];
}

function wholeSeconds(time: string): string {
  return toTimestamp(new Date(time));
}
