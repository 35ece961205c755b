import { assert } from "../common/errors.ts";
import { ancestorsOf, type TimelineHistory, type TimelineSpan } from "../postgres/timeline-history.ts";
import { segmentNumberOf, walSegmentName, type WalSegmentName } from "../postgres/wal-file-name.ts";
import type { WalInventory, WalObject } from "./wal-inventory.ts";

/** The unbroken WAL from a backup on, along one timeline's path. */
export interface WalRun {
  readonly segments: readonly WalObject[];
  /** Where it breaks off, when something that was asked for is missing. */
  readonly hole: WalHole | undefined;
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
 * archive). The timeline of each is chosen as PostgreSQL chooses (`XLogFileReadAnyTLI`): the newest of the path that
 * had begun by then; a parent's segments behind the point where it was left are another story and do not count.
 */
export function collectWalRun(
  inventory: WalInventory,
  history: TimelineHistory,
  request: {
    readonly beginWal: WalSegmentName;
    readonly segmentSizeBytes: number;
    readonly throughSegment: bigint | undefined;
  },
): WalRun {
  const { segmentSizeBytes } = request;
  const spans = ancestorsOf(history).toReversed();
  const first = segmentNumberOf(request.beginWal, segmentSizeBytes);
  const archiveEnd = lastSegmentOnPath(inventory, spans, segmentSizeBytes);
  const through = request.throughSegment ?? archiveEnd;
  const segments: WalObject[] = [];
  for (let number = first; number <= through; number++) {
    const names = namesFor(spans, number, segmentSizeBytes);
    const found = names.map((name) => inventory.segments.get(name)).find((object) => object !== undefined);
    if (found === undefined) {
      const name = names[0];
      assert(name !== undefined, "some timeline of a path covers every segment behind its backup");
      return { segments, hole: { segmentNumber: number, name, isEnd: number > archiveEnd } };
    }
    segments.push(found);
  }
  return { segments, hole: undefined };
}

/** Names a segment may have on this path, newest timeline first. `spans` are newest first. */
function namesFor(
  spans: readonly TimelineSpan[],
  segmentNumber: bigint,
  segmentSizeBytes: number,
): WalSegmentName[] {
  return spans
    .filter((span) => covers(span, segmentNumber, segmentSizeBytes))
    .map(({ timeline }) => walSegmentName({ timeline, segmentNumber, segmentSizeBytes }));
}

function covers(span: TimelineSpan, segmentNumber: bigint, segmentSizeBytes: number): boolean {
  const size = BigInt(segmentSizeBytes);
  return (
    segmentNumber >= span.startLsn / size &&
    (span.endLsn === undefined || segmentNumber <= span.endLsn / size)
  );
}

/** The highest segment number that any timeline of the path holds within its own span; -1 when there is none. */
function lastSegmentOnPath(
  inventory: WalInventory,
  spans: readonly TimelineSpan[],
  segmentSizeBytes: number,
): bigint {
  const byTimeline = new Map(spans.map((span) => [span.timeline, span]));
  let last = -1n;
  for (const [name, object] of inventory.segments) {
    const span = byTimeline.get(object.file.timeline);
    if (span === undefined) continue;
    const number = segmentNumberOf(name, segmentSizeBytes);
    if (number > last && covers(span, number, segmentSizeBytes)) last = number;
  }
  return last;
}
