import { assert } from "../common/errors.ts";
import { ancestorsOf, type TimelineHistory, type TimelineSpan } from "../postgres/timeline-history.ts";
import {
  isValidForSegmentSize,
  segmentNumberOf,
  walSegmentName,
  type WalSegmentName,
} from "../postgres/wal-file-name.ts";
import type { WalInventory, WalObject } from "./wal-inventory.ts";

/** The unbroken WAL from a backup on, along one timeline's path. */
export interface WalRun {
  readonly segments: readonly WalObject[];
  /** Where it breaks off, when something that was asked for is missing. */
  readonly hole: WalHole | undefined;
  /**
   * A parent's segment right behind the run, past the point where its timeline was left. Without the child's own copy,
   * PostgreSQL would read it and replay what the path does not contain.
   */
  readonly strayNext: WalObject | undefined;
}

export interface WalHole {
  readonly segmentNumber: bigint;
  /** The name PostgreSQL would ask for first. */
  readonly name: WalSegmentName;
  /** Nothing follows: the archive simply ends here. */
  readonly isEnd: boolean;
}

/**
 * Collects the segments that replay reads, from `beginWal` through `throughSegment` (undefined: to the end of the
 * archive), and in any case tells whether those through `requiredThrough` are there. Each must have the newest timeline
 * of the path that had begun by then. PostgreSQL asks for that one first too (`XLogFileReadAnyTLI`) but would take the
 * parent's segment of the same number instead, and in the segment where the timelines part go on into records that are
 * another story; so a parent's copy never counts where the child has begun.
 */
export function collectWalRun(
  inventory: WalInventory,
  history: TimelineHistory,
  request: {
    readonly beginWal: WalSegmentName;
    readonly segmentSizeBytes: number;
    readonly requiredThrough: bigint;
    readonly throughSegment: bigint | undefined;
  },
): WalRun {
  const { segmentSizeBytes } = request;
  const spans = ancestorsOf(history).toReversed();
  const first = segmentNumberOf(request.beginWal, segmentSizeBytes);
  const archiveEnd = lastSegmentOnPath(inventory, spans, segmentSizeBytes);
  const through = max(request.throughSegment ?? archiveEnd, request.requiredThrough);
  const segments: WalObject[] = [];
  for (let number = first; number <= through; number++) {
    const name = nameFor(spans, number, segmentSizeBytes);
    const found = inventory.segments.get(name);
    if (found === undefined) {
      const strayNext = findStray(inventory, spans, { number, segmentSizeBytes, last: segments.at(-1) });
      return { segments, hole: { segmentNumber: number, name, isEnd: number > archiveEnd }, strayNext };
    }
    segments.push(found);
  }
  const next = { number: max(through + 1n, first), segmentSizeBytes, last: segments.at(-1) };
  return { segments, hole: undefined, strayNext: findStray(inventory, spans, next) };
}

/** PostgreSQL tries older timelines too, but none older than that of the file it read last. */
function findStray(
  inventory: WalInventory,
  spans: readonly TimelineSpan[],
  place: { readonly number: bigint; readonly segmentSizeBytes: number; readonly last: WalObject | undefined },
): WalObject | undefined {
  const { number: segmentNumber, segmentSizeBytes, last } = place;
  const own = nameFor(spans, segmentNumber, segmentSizeBytes);
  if (inventory.segments.has(own)) return undefined;
  return spans
    .filter(({ timeline, startLsn }) => {
      const begun = segmentNumber >= startLsn / BigInt(segmentSizeBytes);
      return begun && (last === undefined || timeline >= last.file.timeline);
    })
    .map(({ timeline }) =>
      inventory.segments.get(walSegmentName({ timeline, segmentNumber, segmentSizeBytes })),
    )
    .find((object) => object !== undefined);
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** The name of a segment on this path. `spans` are newest first; the oldest one begins with the WAL stream. */
function nameFor(
  spans: readonly TimelineSpan[],
  segmentNumber: bigint,
  segmentSizeBytes: number,
): WalSegmentName {
  const span = spans.find(({ startLsn }) => segmentNumber >= startLsn / BigInt(segmentSizeBytes));
  assert(span !== undefined, "a path without a beginning");
  return walSegmentName({ timeline: span.timeline, segmentNumber, segmentSizeBytes });
}

/** The highest segment number that the archive holds under its name on this path; -1 when there is none. */
function lastSegmentOnPath(
  inventory: WalInventory,
  spans: readonly TimelineSpan[],
  segmentSizeBytes: number,
): bigint {
  const timelines = new Set(spans.map(({ timeline }) => timeline));
  let last = -1n;
  for (const [name, object] of inventory.segments) {
    // A name of another segment size is junk here, not a reason to fail.
    if (!timelines.has(object.file.timeline) || !isValidForSegmentSize(name, segmentSizeBytes)) continue;
    const number = segmentNumberOf(name, segmentSizeBytes);
    if (number > last && nameFor(spans, number, segmentSizeBytes) === name) last = number;
  }
  return last;
}
