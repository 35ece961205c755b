import { ancestorsOf, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { isValidForSegmentSize, segmentNumberOf, type WalFileName } from "../postgres/wal-file-name.ts";
import type { KeepTarget } from "../repository/catalogue.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";

/** A backup that a repository has, or is about to get. */
export interface HeldBackup {
  readonly info: FinishedBackupInfo;
  readonly keep: KeepTarget | undefined;
}

/**
 * Which WAL a repository needs for its backups: pure. All that replay from one of them can reach, on its timeline and on those
 * that came out of it behind it; of a backup with the keep mark `standalone`, its own only. What lies before all backups was
 * removed by the repository's own retention, or is of no use. History files are always wanted. Without any backup everything is:
 * a later backup of another repository may need it.
 */
export function wantedWal(
  held: readonly HeldBackup[],
  histories: ReadonlyMap<TimelineId, TimelineHistory>,
): (file: WalFileName) => boolean {
  return (file) => {
    if (file.kind === "history" || held.length === 0) return true;
    return held.some((backup) => isReached(file, backup, histories));
  };
}

function isReached(
  file: Exclude<WalFileName, { readonly kind: "history" }>,
  { info, keep }: HeldBackup,
  histories: ReadonlyMap<TimelineId, TimelineHistory>,
): boolean {
  const { walSegmentSizeBytes: sizeBytes } = info;
  if (!isValidForSegmentSize(file.segment, sizeBytes)) return false;
  const number = segmentNumberOf(file.segment, sizeBytes);
  if (number < segmentNumberOf(info.beginWal, sizeBytes)) return false;
  if (file.timeline === info.timeline) {
    return keep !== "standalone" || number <= segmentNumberOf(info.endWal, sizeBytes);
  }
  if (keep === "standalone" || file.timeline < info.timeline) return false;
  const history = histories.get(file.timeline);
  // Whose past nobody knows may have come out of this one.
  if (history === undefined) return true;
  const own = ancestorsOf(history).find(({ timeline }) => timeline === info.timeline);
  return own !== undefined && (own.endLsn === undefined || own.endLsn >= info.endLsn);
}
