import { unmarkedSegments } from "../../agent/unmarked-segments.ts";
import type { Lsn } from "../../postgres/lsn.ts";
import { timelinesForSegment, type TimelineHistory } from "../../postgres/timeline-history.ts";
import { parseWalFileName, segmentNumberOf, walSegmentName } from "../../postgres/wal-file-name.ts";

/** What lies in the `pg_wal` of a primary that is gone. */
export interface LeftWal {
  /** Names in `pg_wal`, and in its `archive_status`. */
  readonly names: readonly string[];
  readonly statusNames: readonly string[];
  /** Whole segments whose headers are what their names say; others were recycled and not yet written to. */
  readonly valid: ReadonlySet<string>;
  /** Of its newest timeline. */
  readonly history: TimelineHistory;
}

export interface RescuePlan {
  /** What a standby replays to go on with what it has, in order and without a hole; empty when it is not there. */
  readonly chain: readonly string[];
  /** WAL files that PostgreSQL finished and that nobody has archived for certain, in order. */
  readonly unarchived: readonly string[];
}

/** How far a standby is. */
export interface StandbyPosition {
  readonly replayed: Lsn;
  /** What it has in its own `pg_wal`: a primary keeps for it only what comes after. */
  readonly received: Lsn;
}

/**
 * Which WAL of a primary that is gone a standby needs, and which the archive lacks. The last segment of the chain is not among what
 * is to be archived unless it is marked: only its content can tell whether it was finished (`isLastWhole`).
 */
export function planRescue(left: LeftWal, position: StandbyPosition, segmentSizeBytes: number): RescuePlan {
  const { names, statusNames, valid } = left;
  const chain = chainFor(left, position, segmentSizeBytes);
  const present = new Set(names);
  const done = new Set(marked(statusNames, ".done"));
  const unarchived = [
    ...marked(statusNames, ".ready"),
    ...unmarkedSegments(names, statusNames, segmentSizeBytes).map(({ name }) => name),
    ...chain.slice(0, -1).filter((name) => !done.has(name)),
  ].filter((name) => present.has(name) && isWhole(name, valid));
  return { chain, unarchived: [...new Set(unarchived)].toSorted() };
}

/** All that goes on without a hole around what the standby has received last, from the segment on that it replays. */
function chainFor(
  { valid, history }: LeftWal,
  { replayed, received }: StandbyPosition,
  segmentSizeBytes: number,
): readonly string[] {
  const nameOf = (segmentNumber: bigint): string | undefined =>
    timelinesForSegment(history, segmentNumber, segmentSizeBytes)
      .map((timeline) => walSegmentName({ timeline, segmentNumber, segmentSizeBytes }))
      .find((item) => valid.has(item));
  const chain: string[] = [];
  const next = received / BigInt(segmentSizeBytes);
  for (let number = next - 1n; number >= replayed / BigInt(segmentSizeBytes); number--) {
    const name = nameOf(number);
    if (name === undefined) break;
    chain.unshift(name);
  }
  for (let number = next; ; number++) {
    const name = nameOf(number);
    if (name === undefined) return chain;
    chain.push(name);
  }
}

/**
 * Of a standby's own `pg_wal`: the segments before its position, which are whole. What was streamed is marked as archived although
 * only its primary knew whether it was.
 */
export function ownSegments(
  { valid, history }: Pick<LeftWal, "valid" | "history">,
  position: Lsn,
  segmentSizeBytes: number,
): readonly string[] {
  const current = position / BigInt(segmentSizeBytes);
  return [...valid].toSorted().filter((name) => {
    const file = parseWalFileName(name);
    if (file?.kind !== "segment") return false;
    const segmentNumber = segmentNumberOf(file.segment, segmentSizeBytes);
    // What an older timeline has under this number ended within it.
    const newest = timelinesForSegment(history, segmentNumber, segmentSizeBytes)
      .map((timeline) => walSegmentName({ timeline, segmentNumber, segmentSizeBytes }))
      .find((item) => valid.has(item));
    return segmentNumber < current && newest === name;
  });
}

/** History and label files, and what a promotion left of a timeline's last segment, are judged when they are archived. */
function isWhole(name: string, valid: ReadonlySet<string>): boolean {
  const file = parseWalFileName(name);
  return file !== undefined && (file.kind !== "segment" || valid.has(name));
}

function marked(statusNames: readonly string[], mark: ".ready" | ".done"): string[] {
  return statusNames.flatMap((name) => (name.endsWith(mark) ? [name.slice(0, -mark.length)] : []));
}
