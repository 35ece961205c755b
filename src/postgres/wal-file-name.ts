import { assert, EngineError } from "../common/errors.ts";
import { gib, mib } from "../common/units.ts";
import { lsn, type Lsn } from "./lsn.ts";
import { formatTimelineHex, parseTimelineHex, type TimelineId } from "./timeline.ts";

/*
 * The names of the files in pg_wal and in a WAL archive, as src/include/access/xlog_internal.h defines them. Where a
 * segment lies in the WAL stream depends on the cluster's segment size (initdb --wal-segsize), so that everything
 * that turns names into positions takes it.
 */

/** 24 upper-case hexadecimal digits: timeline, "log" number and segment number, eight each. */
export type WalSegmentName = string & { readonly __brand: "WalSegmentName" };

export type WalFileName =
  /** A whole segment. */
  | {
      readonly kind: "segment";
      readonly name: string;
      readonly segment: WalSegmentName;
      readonly timeline: TimelineId;
    }
  /** `<segment>.partial`: the unfinished last segment of a timeline, archived at promotion. */
  | {
      readonly kind: "partial";
      readonly name: string;
      readonly segment: WalSegmentName;
      readonly timeline: TimelineId;
    }
  /** `<segment>.<offset>.backup`: says that a base backup started at that byte offset of the segment. */
  | {
      readonly kind: "backup-label";
      readonly name: string;
      readonly segment: WalSegmentName;
      readonly timeline: TimelineId;
      readonly offset: number;
    }
  /** `<timeline>.history`: the ancestors of a timeline. */
  | { readonly kind: "history"; readonly name: string; readonly timeline: TimelineId };

const segmentPattern = /^[0-9A-F]{24}$/;
const withSuffixPattern = /^([0-9A-F]{24})(?:(\.partial)|\.([0-9A-F]{8})\.backup)?$/;
const historyPattern = /^([0-9A-F]{8})\.history$/;
const fourGib = 1n << 32n;

/**
 * Reads any name that PostgreSQL gives to `archive_command` or asks of `restore_command`; undefined for every other
 * name (lower case included: PostgreSQL writes upper case only, and ignores others). Timeline 0 does not exist.
 */
export function parseWalFileName(name: string): WalFileName | undefined {
  if (name.startsWith("00000000")) return undefined;
  const history = historyPattern.exec(name)?.[1];
  if (history !== undefined) return { kind: "history", name, timeline: parseTimelineHex(history) };

  const match = withSuffixPattern.exec(name);
  if (match === null) return undefined;
  const [, text = "", partial, offset] = match;
  const segment = text as WalSegmentName;
  const timeline = timelineOfSegment(segment);
  if (partial !== undefined) return { kind: "partial", name, segment, timeline };
  if (offset === undefined) return { kind: "segment", name, segment, timeline };
  return { kind: "backup-label", name, segment, timeline, offset: Number.parseInt(offset, 16) };
}

/** Whether PostgreSQL can have WAL segments of this size: a power of two from 1 MiB to 1 GiB (`IsValidWalSegSize`). */
export function isWalSegmentSize(sizeBytes: number): boolean {
  return sizeBytes >= mib && sizeBytes <= gib && Number.isInteger(Math.log2(sizeBytes));
}

/** Takes text as the name of a whole segment. Throws `postgres-format`. */
export function parseWalSegmentName(text: string): WalSegmentName {
  if (!segmentPattern.test(text) || text.startsWith("00000000")) {
    throw new EngineError("postgres-format", `"${text}" is not the name of a WAL segment`);
  }
  return text as WalSegmentName;
}

export function timelineOfSegment(name: WalSegmentName): TimelineId {
  return parseTimelineHex(name.slice(0, 8));
}

/** The name of the file that holds the ancestors of a timeline: `00000002.history` (`TLHistoryFileName`). */
export function timelineHistoryFileName(timeline: TimelineId): string {
  return `${formatTimelineHex(timeline)}.history`;
}

/** How many segments share the middle eight digits of a name: 256 at 16 MiB (`XLogSegmentsPerXLogId`). */
function segmentsPerLog(segmentSizeBytes: number): bigint {
  assert(isWalSegmentSize(segmentSizeBytes), `${segmentSizeBytes} is not a WAL segment size`);
  return fourGib / BigInt(segmentSizeBytes);
}

/**
 * Whether a cluster with this segment size can have a segment of this name: the last eight digits count up to
 * 4 GiB / size only. At 16 MiB, `…00000100` never exists.
 */
export function isValidForSegmentSize(name: WalSegmentName, segmentSizeBytes: number): boolean {
  return BigInt(`0x${name.slice(16)}`) < segmentsPerLog(segmentSizeBytes);
}

/** The name of the segment with this number, counted from the start of the WAL stream (`XLogFileName`). */
export function walSegmentName(place: {
  readonly timeline: TimelineId;
  readonly segmentNumber: bigint;
  readonly segmentSizeBytes: number;
}): WalSegmentName {
  const perLog = segmentsPerLog(place.segmentSizeBytes);
  const log = place.segmentNumber / perLog;
  assert(place.segmentNumber >= 0n && log < fourGib, `there is no WAL segment number ${place.segmentNumber}`);
  const digits = (value: bigint) => value.toString(16).toUpperCase().padStart(8, "0");
  const name = formatTimelineHex(place.timeline) + digits(log) + digits(place.segmentNumber % perLog);
  return name as WalSegmentName;
}

/**
 * The number of a segment, counted from the start of the WAL stream (`XLogFromFileName`). Throws `postgres-format` when
 * the name does not exist at this segment size.
 */
export function segmentNumberOf(name: WalSegmentName, segmentSizeBytes: number): bigint {
  if (!isValidForSegmentSize(name, segmentSizeBytes)) {
    throw new EngineError(
      "postgres-format",
      `WAL segment "${name}" cannot exist with segments of ${segmentSizeBytes} bytes`,
      { hint: "Check the segment size: SHOW wal_segment_size on the server that wrote it." },
    );
  }
  return BigInt(`0x${name.slice(8, 16)}`) * segmentsPerLog(segmentSizeBytes) + BigInt(`0x${name.slice(16)}`);
}

/** The position of a segment's first byte. Throws `postgres-format` as `segmentNumberOf` does. */
export function segmentStartLsn(name: WalSegmentName, segmentSizeBytes: number): Lsn {
  return lsn(segmentNumberOf(name, segmentSizeBytes) * BigInt(segmentSizeBytes));
}

/** The segment that holds the byte at `position`; on a boundary, the segment that starts there (`XLByteToSeg`). */
export function segmentContaining(
  position: Lsn,
  timeline: TimelineId,
  segmentSizeBytes: number,
): WalSegmentName {
  const segmentNumber = position / BigInt(segmentSizeBytes);
  return walSegmentName({ timeline, segmentNumber, segmentSizeBytes });
}

/**
 * The segment that holds the byte before `position` (`XLByteToPrevSeg`): the last one needed to replay up to an end
 * position. `position` is not 0.
 */
export function lastSegmentBefore(
  position: Lsn,
  timeline: TimelineId,
  segmentSizeBytes: number,
): WalSegmentName {
  return segmentContaining(lsn(position - 1n), timeline, segmentSizeBytes);
}

/** The segment after `name` on the same timeline. */
export function nextSegmentName(name: WalSegmentName, segmentSizeBytes: number): WalSegmentName {
  return walSegmentName({
    timeline: timelineOfSegment(name),
    segmentNumber: segmentNumberOf(name, segmentSizeBytes) + 1n,
    segmentSizeBytes,
  });
}

/** The segments from `first` to `last`, both included, on the one timeline they share; none when `last` is before. */
export function* segmentsBetween(
  first: WalSegmentName,
  last: WalSegmentName,
  segmentSizeBytes: number,
): Generator<WalSegmentName, void, undefined> {
  const timeline = timelineOfSegment(first);
  assert(timeline === timelineOfSegment(last), `segments "${first}" and "${last}" are on two timelines`);
  const end = segmentNumberOf(last, segmentSizeBytes);
  for (let at = segmentNumberOf(first, segmentSizeBytes); at <= end; at++) {
    yield walSegmentName({ timeline, segmentNumber: at, segmentSizeBytes });
  }
}
