import { formatLsn, parseLsn, type Lsn } from "../postgres/lsn.ts";
import { parseTargetTime, targetTimeMicros } from "../postgres/recovery-settings-time.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import type { RecoveryLog } from "./recovery-log.ts";

/** What recovery did, from the server's log and the history file it wrote. */
export interface RecoveryOutcome {
  readonly log: RecoveryLog;
  /** Where replay ended; undefined when neither file says. */
  readonly reachedLsn: Lsn | undefined;
}

/**
 * Why the outcome is not the target, or undefined when it is. `expectedEndLsn`: for the end of WAL, where the plan saw
 * it.
 */
export function whyMissed(
  target: RecoveryTarget,
  { log, reachedLsn }: RecoveryOutcome,
  expectedEndLsn: Lsn | undefined,
): string | undefined {
  const { stop } = log;
  if (target.kind === "latest") {
    if (expectedEndLsn === undefined) return undefined;
    if (reachedLsn === undefined) return "the server does not say where recovery ended";
    if (reachedLsn >= expectedEndLsn) return undefined;
    return `recovery ended at ${formatLsn(reachedLsn)}, but the archive's WAL goes to ${formatLsn(expectedEndLsn)}`;
  }
  if (stop === undefined) return "recovery ended without stopping at its target";
  return stopsAt(target, stop) ? undefined : `recovery stopped ${stop}, which is not its target`;
}

function stopsAt(target: Exclude<RecoveryTarget, { kind: "latest" }>, stop: string): boolean {
  switch (target.kind) {
    case "immediate":
      return /reaching consistency/.test(stop);
    case "lsn":
      return isAtOrBehind(target.lsn, stop);
    case "xid":
      return new RegExp(`of (?:prepared )?transaction ${BigInt(target.xid)}(?!\\d)`).test(stop);
    case "name":
      return stop.includes(`at restore point "${target.name}"`);
    case "time":
      return isBehind(target, stop);
  }
}

/** PostgreSQL names the record it stopped at: the first that starts at the target, or behind it if none does. */
function isAtOrBehind(target: Lsn, stop: string): boolean {
  const text = /WAL location \(LSN\) "([0-9A-F]+\/[0-9A-F]+)"/.exec(stop)?.[1];
  return text !== undefined && parseLsn(text) >= target;
}

/** The transaction before which it stopped ended later than the target (or as late, for an exclusive one). */
function isBehind(target: { readonly time: string; readonly inclusive: boolean }, stop: string): boolean {
  const text = /^before (?:commit|abort) of transaction \d+, time (.*)$/.exec(stop)?.[1];
  if (text === undefined) return false;
  const stopped = targetTimeMicros(parseTargetTime(text).canonical);
  const wanted = targetTimeMicros(target.time);
  return target.inclusive ? stopped > wanted : stopped >= wanted;
}
