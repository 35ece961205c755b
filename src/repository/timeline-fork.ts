import type { Lsn } from "../postgres/lsn.ts";
import { ancestorsOf, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { isValidForSegmentSize, segmentNumberOf, walSegmentName } from "../postgres/wal-file-name.ts";
import type { WalInventory } from "./wal-inventory.ts";

/** A place where a path leaves a timeline that goes on in the archive: from there on there are two stories. */
export interface TimelineFork {
  readonly parent: TimelineId;
  readonly child: TimelineId;
  readonly switchLsn: Lsn;
  /** When the child's first segment was stored: the child existed then. Undefined when it is not in the archive. */
  readonly childStoredAt: Date | undefined;
}

/** The forks behind a position on the path, oldest first. */
export function forksAfter(
  inventory: WalInventory,
  history: TimelineHistory,
  { position, segmentSizeBytes }: { readonly position: Lsn; readonly segmentSizeBytes: number },
): TimelineFork[] {
  const spans = ancestorsOf(history);
  return spans.flatMap(({ timeline: parent, endLsn: switchLsn }, index) => {
    const child = spans[index + 1]?.timeline;
    if (child === undefined || switchLsn === undefined || switchLsn < position) return [];
    const segmentNumber = switchLsn / BigInt(segmentSizeBytes);
    // A parent that ended with the switch leaves at most a partial segment.
    const goesOn = [...inventory.segments].some(
      ([name, { file }]) =>
        file.timeline === parent &&
        isValidForSegmentSize(name, segmentSizeBytes) &&
        segmentNumberOf(name, segmentSizeBytes) >= segmentNumber,
    );
    if (!goesOn) return [];
    const first = inventory.segments.get(
      walSegmentName({ timeline: child, segmentNumber, segmentSizeBytes }),
    );
    return [{ parent, child, switchLsn, childStoredAt: first?.modifiedAt }];
  });
}
