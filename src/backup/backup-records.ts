import { tidemarkVersion } from "../common/version.ts";
import type { StartedBackup, StoppedBackup } from "../postgres/backup-functions.ts";
import type { ServerFacts } from "../postgres/backup-functions-facts.ts";
import { segmentContaining } from "../postgres/wal-file-name.ts";
import type { CopyStats, FinishedBackupInfo } from "../repository/backup-info.ts";
import type { BackupManifest, BackupPart } from "../repository/backup-manifest.ts";
import type { BackupSource } from "./backup-source.ts";
import type { PageCheck } from "./page-check.ts";

/** What is written about a backup that has been copied: pure, from what was seen. */

export function buildManifest(facts: {
  /** In the form that the repository has. */
  readonly parts: readonly BackupPart[];
  readonly fileCount: number;
  readonly dataBytes: number;
  /** Undefined when the cluster has no checksums. */
  readonly pages: Pick<PageCheck, "damaged" | "damagedCount"> | undefined;
  readonly facts: Pick<ServerFacts, "inRecovery">;
  readonly tags: Readonly<Record<string, string>>;
}): BackupManifest {
  return {
    format: 1,
    tidemarkVersion,
    parts: [...facts.parts],
    fileCount: facts.fileCount,
    dataBytes: facts.dataBytes,
    pagesVerified: facts.pages !== undefined,
    damagedPages: [...(facts.pages?.damaged ?? [])],
    damagedPageCount: facts.pages?.damagedCount ?? 0,
    fromStandby: facts.facts.inRecovery,
    tags: { ...facts.tags },
  };
}

export function buildInfo(seen: {
  readonly facts: ServerFacts;
  readonly source: Pick<BackupSource, "tablespaces">;
  readonly started: StartedBackup;
  readonly stopped: StoppedBackup;
  readonly name: string | undefined;
  readonly copyStats: CopyStats;
}): FinishedBackupInfo {
  const { facts, started, stopped } = seen;
  const segmentOf = (position: typeof started.startLsn) =>
    segmentContaining(position, started.timeline, facts.walSegmentSizeBytes);
  return {
    kind: "done",
    backupName: seen.name,
    backupLabel: stopped.backupLabel,
    beginTime: serverTime(started.beginTime, "down"),
    endTime: serverTime(stopped.endTime, "up"),
    beginWal: segmentOf(started.startLsn),
    // As Barman has it: an end on a boundary names the segment that starts there, which the backup does not need.
    endWal: segmentOf(stopped.stopLsn),
    beginLsn: started.startLsn,
    endLsn: stopped.stopLsn,
    timeline: started.timeline,
    walSegmentSizeBytes: facts.walSegmentSizeBytes,
    systemIdentifier: facts.systemIdentifier,
    serverVersion: facts.versionNumber,
    pgdata: facts.dataDirectory,
    configFile: facts.configFile,
    hbaFile: facts.hbaFile,
    identFile: facts.identFile,
    includedFiles: facts.includedFiles,
    tablespaces: seen.source.tablespaces,
    copyStats: seen.copyStats,
  };
}

/**
 * Milliseconds of the server's `2026-01-15 14:30:00.123456+00:00`. The end is rounded up: a target in the same
 * millisecond, before the backup is consistent, must not look as if it came after.
 */
export function serverTime(text: string, round: "up" | "down"): Date {
  const milliseconds = Date.parse(text.replace(" ", "T").replace(/(\.\d{3})\d*/, "$1"));
  const hasMore = /\.\d{3}\d*[1-9]/.test(text);
  return new Date(round === "up" && hasMore ? milliseconds + 1 : milliseconds);
}
