import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import { targetTimeMicros } from "../postgres/recovery-settings-time.ts";
import type { PlanRefusal, RecoveryPlan } from "../repository/recovery-plan.ts";
import type { WalEnd } from "./wal-end.ts";

/*
 * Whether replay can reach the target, by what the end of the WAL says. PostgreSQL (13 and later) refuses to end recovery
 * when it runs out of WAL before a target (StartupXLOG), after hours of replay perhaps; this says so beforehand. Where it
 * stops is ported from recoveryStopsBefore and recoveryStopsAfter in xlogrecovery.c.
 */

export interface Reachable {
  readonly kind: "reachable";
  /** Doubts that cannot be cleared without replaying. */
  readonly notes: readonly string[];
}

const certain: Reachable = { kind: "reachable", notes: [] };

export function checkReach(recovery: RecoveryPlan, walEnd: WalEnd): Reachable | PlanRefusal {
  const { target } = recovery;
  switch (target.kind) {
    case "immediate":
    case "latest":
      return certain;
    case "lsn":
      return checkLsn(target.lsn, walEnd);
    case "time":
      return checkTime(target, recovery, walEnd);
    case "xid":
      return doubt(`whether transaction ${target.xid} is in this WAL is not known before it is replayed`);
    case "name":
      return doubt(
        `whether restore point "${target.name}" is in this WAL is not known before it is replayed`,
      );
  }
}

const doubt = (note: string): Reachable => ({ kind: "reachable", notes: [note] });

/** Inclusive or not, PostgreSQL stops at the first record that starts at the target or behind it: there must be one. */
function checkLsn(target: Lsn, { lastRecordLsn, endLsn }: WalEnd): Reachable | PlanRefusal {
  if (lastRecordLsn !== undefined && lastRecordLsn >= target) return certain;
  const last =
    lastRecordLsn === undefined ? "none was found" : `the last starts at ${formatLsn(lastRecordLsn)}`;
  return {
    kind: "unreachable",
    reason: `the WAL ends at ${formatLsn(endLsn)}, and no record starts at the target ${formatLsn(target)} or behind it: ${last}`,
    hint: "Restore to an earlier position, or to the end of the archive (latest).",
  };
}

/** To stop at a time PostgreSQL needs the end of a transaction behind it: later, or for an exclusive target as late. */
function checkTime(
  target: { readonly time: string; readonly inclusive: boolean },
  recovery: RecoveryPlan,
  walEnd: WalEnd,
): Reachable | PlanRefusal {
  const wanted = targetTimeMicros(target.time);
  const { newest } = walEnd;
  if (newest === undefined) return checkTimeByClock(wanted, target.time, recovery, walEnd);
  if (target.inclusive ? newest.timeMicros > wanted : newest.timeMicros >= wanted) return certain;
  const { hole } = recovery;
  const where =
    hole === undefined
      ? "the newest transaction in the archive"
      : `WAL segment "${hole.name}" is not in the archive, and the newest transaction before it`;
  return {
    kind: "unreachable",
    reason: `${where} ended at ${formatMicros(newest.timeMicros)}, not after the target ${target.time}`,
    hint:
      hole === undefined
        ? `To restore everything there is, restore to the end of the archive (latest). The newest time that can be given is just before ${formatMicros(newest.timeMicros)}; has the server archived its last WAL (pg_switch_wal)?`
        : `The newest time that can be given is just before ${formatMicros(newest.timeMicros)}.`,
  };
}

/** No transaction ended in the last segments: what is left is when they were stored, by the store's clock. */
function checkTimeByClock(
  wanted: bigint,
  targetText: string,
  recovery: RecoveryPlan,
  walEnd: WalEnd,
): Reachable | PlanRefusal {
  if (walEnd.readAll) {
    return {
      kind: "unreachable",
      reason: `no transaction ended in the WAL behind backup "${recovery.backup.id}", so there is none after the target ${targetText}`,
      hint: "To restore everything there is, restore to the end of the archive (latest).",
    };
  }
  const stored = recovery.segments.reduce(
    (latest, { modifiedAt }) => Math.max(latest, modifiedAt.getTime()),
    0,
  );
  const storedMicros = BigInt(Math.trunc(stored)) * 1000n;
  if (wanted > storedMicros) {
    return {
      kind: "unreachable",
      reason: `the last WAL segment was stored at ${formatMicros(storedMicros)}, before the target ${targetText}`,
      hint: "To restore everything there is, restore to the end of the archive (latest). If the store's clock or the server's is wrong, choose the target by position (--to-lsn).",
    };
  }
  return doubt(
    `no transaction ended in the last ${walEnd.segmentsRead} segments, so the target is reached only if one before them ended after it; otherwise PostgreSQL ends recovery with an error`,
  );
}

/** Microseconds since 1970 as `2026-01-15 14:30:00.123456+00:00`. */
export function formatMicros(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  const text = new Date(Number(seconds) * 1000).toISOString();
  const fraction = String(micros % 1_000_000n).padStart(6, "0");
  return `${text.slice(0, 10)} ${text.slice(11, 19)}.${fraction}+00:00`;
}
