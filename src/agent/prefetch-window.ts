import { mib } from "../common/units.ts";
import {
  isValidForSegmentSize,
  parseWalFileName,
  segmentNumberOf,
  timelineOfSegment,
  walSegmentName,
  type WalSegmentName,
} from "../postgres/wal-file-name.ts";
import type { TimelineId } from "../postgres/timeline.ts";

/** However small the segments are, more than this ahead gains nothing. */
const mostSegments = 64;

/** How many segments to hold ready in so much space: at least one. */
export function windowSegments(segmentSizeBytes: number, limitBytes = 128 * mib): number {
  return Math.min(mostSegments, Math.max(1, Math.floor(limitBytes / segmentSizeBytes)));
}

/**
 * Where replay is, and what it will ask for next: the segments that follow on the same timeline, up to the first one
 * that was not in the archive. Pure.
 */
export class PrefetchWindow {
  readonly #segmentSizeBytes: number;
  readonly #segments: number;
  #timeline: TimelineId | undefined;
  #number = 0n;
  /** The first segment number that is not in the archive yet, by timeline. */
  readonly #ends = new Map<TimelineId, bigint>();

  constructor(segmentSizeBytes: number, segments: number) {
    this.#segmentSizeBytes = segmentSizeBytes;
    this.#segments = segments;
  }

  /** Replay got this segment. It may go back: PostgreSQL reads the checkpoint first, and then starts before it. */
  delivered(segment: WalSegmentName): void {
    if (!isValidForSegmentSize(segment, this.#segmentSizeBytes)) return;
    this.#timeline = timelineOfSegment(segment);
    this.#number = segmentNumberOf(segment, this.#segmentSizeBytes);
    const end = this.#ends.get(this.#timeline);
    if (end !== undefined && end <= this.#number) this.#ends.delete(this.#timeline);
  }

  /** A segment ahead turned out not to be in the archive. Not final: asked for, it is looked for again. */
  absent(segment: WalSegmentName): void {
    if (!isValidForSegmentSize(segment, this.#segmentSizeBytes)) return;
    const timeline = timelineOfSegment(segment);
    const number = segmentNumberOf(segment, this.#segmentSizeBytes);
    const end = this.#ends.get(timeline);
    if (end === undefined || number < end) this.#ends.set(timeline, number);
  }

  /** The segments to have ready, the next one first. */
  ahead(): WalSegmentName[] {
    const timeline = this.#timeline;
    if (timeline === undefined) return [];
    const end = this.#ends.get(timeline);
    const names: WalSegmentName[] = [];
    for (let step = 1n; step <= this.#segments; step++) {
      const segmentNumber = this.#number + step;
      if (end !== undefined && segmentNumber >= end) break;
      names.push(walSegmentName({ timeline, segmentNumber, segmentSizeBytes: this.#segmentSizeBytes }));
    }
    return names;
  }

  /** Whether a file that lies ready will hardly be asked for: before replay's place, far ahead, or of another timeline. */
  isObsolete(name: string): boolean {
    const file = parseWalFileName(name);
    if (file?.kind !== "segment" || this.#timeline === undefined) return false;
    if (file.timeline !== this.#timeline) return true;
    const distance = segmentNumberOf(file.segment, this.#segmentSizeBytes) - this.#number;
    return distance < 0n || distance > 2 * this.#segments;
  }
}
