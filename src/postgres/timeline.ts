import { EngineError } from "../common/errors.ts";

/** The number of a timeline: 1 to 2^32-1. A new cluster starts on 1; every promotion takes a higher one. */
export type TimelineId = number & { readonly __brand: "TimelineId" };

const maxTimelineId = 0xffff_ffff;

/** Takes a number as a timeline; throws `postgres-format` when it is not a whole number from 1 to 2^32-1. */
export function timelineId(value: number): TimelineId {
  if (!Number.isInteger(value) || value < 1 || value > maxTimelineId) {
    throw new EngineError(
      "postgres-format",
      `"${value}" is not a timeline: it must be 1 to ${maxTimelineId}`,
    );
  }
  return value as TimelineId;
}

/** Reads the eight upper-case hexadecimal digits that start every WAL file name. Throws `postgres-format`. */
export function parseTimelineHex(text: string): TimelineId {
  if (!/^[0-9A-F]{8}$/.test(text)) {
    throw new EngineError(
      "postgres-format",
      `"${text}" is not a timeline: it must be eight upper-case hexadecimal digits`,
    );
  }
  return timelineId(Number.parseInt(text, 16));
}

/** Eight upper-case hexadecimal digits, as in WAL file names. */
export function formatTimelineHex(timeline: TimelineId): string {
  return timeline.toString(16).toUpperCase().padStart(8, "0");
}
