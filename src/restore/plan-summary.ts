import { formatLsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { ancestorsOf } from "../postgres/timeline-history.ts";
import { serverMajor } from "../repository/backup-info.ts";
import { formatMicros } from "./plan-reach.ts";
import type { RestorePlan } from "./plan-restore.ts";
import type { TablespaceTarget } from "./tablespaces.ts";

/** A plan as plain data: what `--dry-run` prints, as text or as JSON. Positions are text, sizes bytes. */
export interface RestorePlanSummary {
  readonly target: {
    readonly kind: RecoveryTarget["kind"];
    readonly value: string | undefined;
    readonly inclusive: boolean | undefined;
  };
  readonly backup: {
    readonly id: string;
    readonly name: string | undefined;
    readonly endTime: string;
    readonly endLsn: string;
    readonly postgresMajor: number;
    readonly parts: number;
    readonly storedBytes: number;
    /** Unpacked; undefined for a backup without a manifest. */
    readonly dataBytes: number | undefined;
  };
  /** Oldest first; `endLsn` is where the next one takes over. */
  readonly timelines: readonly {
    readonly timeline: number;
    readonly startLsn: string;
    readonly endLsn: string | undefined;
  }[];
  /** At most; replay ends with the target. */
  readonly wal: {
    readonly segments: number;
    readonly first: string | undefined;
    readonly last: string | undefined;
    readonly bytes: number;
    readonly storedBytes: number;
    /** Where the WAL that was looked at ends. */
    readonly endLsn: string | undefined;
    /** The newest end of a transaction found there. */
    readonly newestTransactionTime: string | undefined;
    /** The first segment that is missing while later ones exist. */
    readonly missing: string | undefined;
  };
  readonly tablespaces: readonly TablespaceTarget[];
  readonly notes: readonly string[];
}

/** `tablespaces` as `tablespaceTargets` gives them; empty when the caller has no directories yet. */
export function summarizePlan(
  plan: RestorePlan,
  tablespaces: readonly TablespaceTarget[],
): RestorePlanSummary {
  const { recovery, backup, walEnd } = plan;
  const { info } = recovery.backup;
  const spans = ancestorsOf(recovery.history);
  return {
    target: summarizeTarget(recovery.target),
    backup: {
      id: recovery.backup.id,
      name: info.backupName,
      endTime: info.endTime.toISOString(),
      endLsn: formatLsn(info.endLsn),
      postgresMajor: serverMajor(info),
      parts: backup.parts.length,
      storedBytes: backup.storedBytes,
      dataBytes: backup.manifest?.dataBytes,
    },
    timelines: spans
      .filter(({ endLsn }) => endLsn === undefined || endLsn > info.beginLsn)
      .map(({ timeline, startLsn, endLsn }) => ({
        timeline,
        startLsn: formatLsn(startLsn),
        endLsn: endLsn === undefined ? undefined : formatLsn(endLsn),
      })),
    wal: {
      segments: recovery.segments.length,
      first: recovery.segments[0]?.file.name,
      last: recovery.segments.at(-1)?.file.name,
      bytes: recovery.walBytes,
      storedBytes: recovery.segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      endLsn: walEnd === undefined ? undefined : formatLsn(walEnd.endLsn),
      newestTransactionTime:
        walEnd?.newest === undefined ? undefined : formatMicros(walEnd.newest.timeMicros),
      missing: recovery.hole?.name,
    },
    tablespaces,
    notes: plan.notes,
  };
}

function summarizeTarget(target: RecoveryTarget): RestorePlanSummary["target"] {
  const { kind } = target;
  switch (target.kind) {
    case "latest":
    case "immediate":
      return { kind, value: undefined, inclusive: undefined };
    case "time":
      return { kind, value: target.time, inclusive: target.inclusive };
    case "lsn":
      return { kind, value: formatLsn(target.lsn), inclusive: target.inclusive };
    case "xid":
      return { kind, value: String(target.xid), inclusive: target.inclusive };
    case "name":
      return { kind, value: target.name, inclusive: undefined };
  }
}
