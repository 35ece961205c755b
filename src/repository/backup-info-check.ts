import { parseBackupLabel } from "../postgres/backup-label.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { lastSegmentBefore, segmentContaining } from "../postgres/wal-file-name.ts";
import type { FinishedBackupInfo } from "./backup-info.ts";

/**
 * What `backup.info` says twice, and not the same way. One that was damaged where it still has its form shows here, so
 * that another repository's copy is preferred; alone it is no reason to refuse a backup, since most of what is in it
 * decides nothing.
 */
export function backupInfoContradictions(info: FinishedBackupInfo): string[] {
  const { beginLsn, endLsn, timeline, walSegmentSizeBytes: sizeBytes } = info;
  const found: string[] = [];
  const beginWal = segmentContaining(beginLsn, timeline, sizeBytes);
  if (info.beginWal !== beginWal) {
    found.push(`begin_wal is ${info.beginWal}, but ${formatLsn(beginLsn)} lies in ${beginWal}`);
  }
  // An end on a boundary: Barman names the segment behind it, others the one before.
  const ends = [
    segmentContaining(endLsn, timeline, sizeBytes),
    ...(endLsn === 0n ? [] : [lastSegmentBefore(endLsn, timeline, sizeBytes)]),
  ];
  if (!ends.includes(info.endWal)) {
    found.push(`end_wal is ${info.endWal}, but ${formatLsn(endLsn)} does not lie in it`);
  }
  if (endLsn < beginLsn)
    found.push(`end_xlog ${formatLsn(endLsn)} is before begin_xlog ${formatLsn(beginLsn)}`);
  if (info.endTime < info.beginTime) found.push("end_time is before begin_time");
  const label = labelOf(info);
  if (label === "unreadable") found.push("backup_label cannot be read");
  else if (label !== undefined && (label.startLsn !== beginLsn || label.startTimeline !== timeline)) {
    found.push(`backup_label starts at ${formatLsn(label.startLsn)} on timeline ${label.startTimeline}`);
  }
  return found;
}

function labelOf({ backupLabel }: FinishedBackupInfo) {
  if (backupLabel === "") return undefined;
  try {
    return parseBackupLabel(backupLabel);
  } catch {
    return "unreadable";
  }
}

/** What two copies of one backup's `backup.info` must agree on to be of the same backup. */
export function isSameBackup(a: FinishedBackupInfo, b: FinishedBackupInfo): boolean {
  return (
    a.beginLsn === b.beginLsn &&
    a.endLsn === b.endLsn &&
    a.timeline === b.timeline &&
    a.systemIdentifier === b.systemIdentifier &&
    a.walSegmentSizeBytes === b.walSegmentSizeBytes &&
    a.tablespaces.map(({ oid }) => oid).join() === b.tablespaces.map(({ oid }) => oid).join()
  );
}
