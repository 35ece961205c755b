import { EngineError } from "../common/errors.ts";
import type { Lsn } from "../postgres/lsn.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import type { WalSegmentName } from "../postgres/wal-file-name.ts";

export interface TablespaceEntry {
  readonly name: string;
  readonly oid: number;
  /** Absolute path on the host the backup was taken from. */
  readonly location: string;
}

/** A backup that finished: everything a restore needs to know. */
export interface FinishedBackupInfo {
  readonly kind: "done";
  readonly backupName: string | undefined;
  readonly backupLabel: string;
  readonly beginTime: Date;
  readonly endTime: Date;
  readonly beginWal: WalSegmentName;
  readonly endWal: WalSegmentName;
  readonly beginLsn: Lsn;
  readonly endLsn: Lsn;
  readonly timeline: TimelineId;
  readonly walSegmentSizeBytes: number;
  readonly systemIdentifier: SystemIdentifier | undefined;
  /** `server_version_num`, such as 150018. */
  readonly serverVersion: number;
  readonly pgdata: string | undefined;
  readonly configFile: string | undefined;
  readonly hbaFile: string | undefined;
  readonly identFile: string | undefined;
  readonly includedFiles: readonly string[];
  readonly tablespaces: readonly TablespaceEntry[];
  readonly copyStats: CopyStats | undefined;
}

/** A backup whose writer said that it failed. */
export interface FailedBackupInfo {
  readonly kind: "failed";
  readonly backupName: string | undefined;
  readonly status: string;
  readonly error: string | undefined;
  readonly beginTime: Date | undefined;
  readonly systemIdentifier: SystemIdentifier | undefined;
}

export type BackupInfo = FinishedBackupInfo | FailedBackupInfo;

export interface CopyStats {
  readonly totalSeconds: number;
  readonly workers: number;
}

export function serverMajor(info: FinishedBackupInfo): number {
  return Math.floor(info.serverVersion / 10_000);
}

/** Throws `backup-absent` unless the backup finished. */
export function requireFinished(id: string, info: BackupInfo): FinishedBackupInfo {
  if (info.kind === "done") return info;
  throw new EngineError("backup-absent", `backup "${id}" did not finish: its status is ${info.status}`, {
    hint: 'Choose a finished backup; "tidemark base list" shows them.',
    details: { error: info.error },
  });
}
