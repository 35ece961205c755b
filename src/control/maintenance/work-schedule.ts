/** When one work of one cluster is due: pure, in milliseconds of a clock that never steps. */
export interface WorkState {
  /** When the cluster was seen first, and a number from 0 to 1. */
  readonly seenMs: number;
  readonly random: number;
  /** Somebody asked for a run. */
  isRequested: boolean;
  /** What it depended on when it ran last. */
  ranFor: string | undefined;
  lastRun: { readonly endedMs: number; readonly hasFailed: boolean; readonly random: number } | undefined;
}

/** Clusters that are found together at a start do not all begin in the same moment. */
const firstSpreadMs = 2000;
/** Each pause is up to this share longer, so that works of many clusters do not stay in step. */
const spread = 0.1;

export function dueAtMs(
  { seenMs, random, isRequested, lastRun }: Omit<WorkState, "ranFor">,
  { intervalMs, retryMs }: { readonly intervalMs: number; readonly retryMs: number },
): number {
  if (isRequested) return Number.NEGATIVE_INFINITY;
  if (lastRun === undefined) return seenMs + random * firstSpreadMs;
  const pauseMs = lastRun.hasFailed ? Math.min(retryMs, intervalMs) : intervalMs;
  return lastRun.endedMs + pauseMs * (1 + spread * lastRun.random);
}
