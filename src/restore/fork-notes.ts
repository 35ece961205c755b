import { formatLsn } from "../postgres/lsn.ts";
import { targetTimeMicros } from "../postgres/recovery-settings-time.ts";
import type { PlanFacts, RecoveryPlan } from "../repository/recovery-plan.ts";
import { forksAfter } from "../repository/timeline-fork.ts";
import type { WalReader } from "../repository/wal-reader.ts";
import { newestTimeBefore } from "./wal-end.ts";

/**
 * Warnings about a target time for which there are two stories. Timeline 2 left timeline 1 at ten o'clock and committed
 * first at noon; timeline 1 went on. Along timeline 2, eleven o'clock is the state of ten o'clock: correct by PostgreSQL's
 * rules, and hardly what is meant, because at eleven there was only timeline 1. There is no doubt when a transaction
 * before the fork ended after the target, or when the child was archiving at that time already.
 *
 * Throws as `findWalEnd`.
 */
export async function forkNotes(
  readWal: WalReader,
  given: {
    readonly facts: PlanFacts;
    readonly recovery: RecoveryPlan;
    readonly maxSegments: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<string[]> {
  const { facts, recovery, maxSegments, signal } = given;
  const { target, segments } = recovery;
  if (target.kind !== "time") return [];
  const { info } = recovery.backup;
  const wanted = targetTimeMicros(target.time);
  const { walSegmentSizeBytes: segmentSizeBytes, systemIdentifier } = info;
  const forks = forksAfter(facts.inventory, recovery.history, { position: info.endLsn, segmentSizeBytes });
  const notes: string[] = [];
  for (const { parent, child, switchLsn, childStoredAt } of forks) {
    if (childStoredAt !== undefined && BigInt(childStoredAt.getTime()) * 1000n < wanted) continue;
    const before = await newestTimeBefore(readWal, switchLsn, {
      segments,
      segmentSizeBytes,
      systemIdentifier,
      maxSegments,
      signal,
    });
    // Replay stops before this fork, so it stops before all later ones.
    if (before !== undefined && before > wanted) break;
    notes.push(
      `timeline ${child} left timeline ${parent} at ${formatLsn(switchLsn)}, and timeline ${parent} went on: if timeline ${child} was begun after the target time, this gives the state at the fork and nothing that timeline ${parent} committed from there to the target; for that, use --timeline ${parent}`,
    );
  }
  return notes;
}
