import { EngineError } from "../common/errors.ts";
import { formatLsn, lsn, type Lsn } from "./lsn.ts";
import { timelineId, type TimelineId } from "./timeline.ts";

/*
 * A history file lists the ancestors of one timeline, oldest first, and where each was left. Ported from
 * src/backend/access/transam/timeline.c (PostgreSQL 18), whose function names stand in the comments.
 */

/** "`parentTimeline` was left for the next one at `switchLsn`": a line of a history file. */
export interface TimelineHistoryEntry {
  readonly parentTimeline: TimelineId;
  /** The first position that is no longer the parent's. */
  readonly switchLsn: Lsn;
  /** Free text for people. */
  readonly reason: string;
}

/** A timeline and its ancestors, oldest first. A timeline without a history file (timeline 1) has no entries. */
export interface TimelineHistory {
  readonly timeline: TimelineId;
  readonly entries: readonly TimelineHistoryEntry[];
}

/** The part of a history that lies on one timeline: from `startLsn`, up to and without `endLsn`. */
export interface TimelineSpan {
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  /** Undefined for the newest timeline, which goes on. */
  readonly endLsn: Lsn | undefined;
}

// sscanf("%u\t%X/%X"): the tab matches any white space or none; %X takes a 0x prefix. The look-ahead keeps the
// decimal number whole where a regular expression would otherwise give digits back.
const linePattern = /^\s*(\d+)(?!\d)(?:\s*(?:0[xX])?([0-9a-fA-F]+)\/\s*(?:0[xX])?([0-9a-fA-F]+))?\s*(.*)$/s;

/**
 * Reads the history file of `timeline` as PostgreSQL does (`readTimeLineHistory`): blank lines and lines that start
 * with `#` are skipped, the rest of a line after the position is free text, and the timelines must rise up to
 * `timeline`. Throws `postgres-format` with the reason PostgreSQL would give.
 */
export function parseTimelineHistory(timeline: TimelineId, text: string): TimelineHistory {
  const entries: TimelineHistoryEntry[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const entry = parseLine(line, timeline);
    const last = entries.at(-1);
    if (last !== undefined && entry.parentTimeline <= last.parentTimeline) {
      throw malformed(
        timeline,
        `timeline ${entry.parentTimeline} follows timeline ${last.parentTimeline}, but timelines must rise`,
      );
    }
    entries.push(entry);
  }

  const newest = entries.at(-1);
  if (newest !== undefined && newest.parentTimeline >= timeline) {
    throw malformed(timeline, `its parent ${newest.parentTimeline} is not older than itself`);
  }
  return { timeline, entries };
}

function parseLine(line: string, timeline: TimelineId): TimelineHistoryEntry {
  const [, parent, high, low, reason] = linePattern.exec(line) ?? [];
  if (parent === undefined) {
    throw malformed(timeline, `line "${line.trim()}" does not start with a timeline`);
  }
  if (high === undefined || low === undefined) {
    throw malformed(timeline, `line "${line.trim()}" has no switch position`);
  }
  const [highWord, lowWord] = [BigInt(`0x${high}`), BigInt(`0x${low}`)];
  // C would silently keep the low 32 bits; a number that does not fit was not written by PostgreSQL.
  if (highWord > 0xffff_ffffn || lowWord > 0xffff_ffffn) {
    throw malformed(timeline, `line "${line.trim()}" has no valid switch position`);
  }
  try {
    return {
      parentTimeline: timelineId(Number(parent)),
      switchLsn: lsn((highWord << 32n) | lowWord),
      reason: (reason ?? "").trimEnd(),
    };
  } catch (cause) {
    throw malformed(timeline, `line "${line.trim()}" does not start with a timeline`, cause);
  }
}

function malformed(timeline: TimelineId, reason: string, cause?: unknown): EngineError {
  return new EngineError(
    "postgres-format",
    `the history file of timeline ${timeline} is invalid: ${reason}`,
    {
      cause,
      details: { timeline },
    },
  );
}

/** The history file as PostgreSQL writes it (`writeTimeLineHistory`), with its empty line before each further entry. */
export function formatTimelineHistory(history: TimelineHistory): string {
  return history.entries
    .map((entry) => `${entry.parentTimeline}\t${formatLsn(entry.switchLsn)}\t${entry.reason}\n`)
    .join("\n");
}

/** The history of `timeline`, which was opened at `switchLsn` by promoting a server that followed `parent`. */
export function extendTimelineHistory(
  parent: TimelineHistory,
  timeline: TimelineId,
  switchLsn: Lsn,
  reason: string,
): TimelineHistory {
  return {
    timeline,
    entries: [...parent.entries, { parentTimeline: parent.timeline, switchLsn, reason }],
  };
}

/**
 * The spans that make up a history, oldest first, without gaps or overlaps, the newest open-ended.
 *
 * Switch positions need not rise: a server that followed timeline 2 but stopped recovery before timeline 2 began
 * writes its new history as `1 … 2 …` with a smaller position on the second line. PostgreSQL then searches the newest
 * first (`tliOfPointInHistory`), so that the newer switch cuts the older spans, and timeline 2 contributes nothing.
 */
export function ancestorsOf(history: TimelineHistory): TimelineSpan[] {
  const spans: TimelineSpan[] = [];
  let limit = history.entries.at(-1)?.switchLsn ?? lsn(0n);
  spans.push({ timeline: history.timeline, startLsn: limit, endLsn: undefined });
  for (let index = history.entries.length - 1; index >= 0; index--) {
    const entry = history.entries[index];
    if (entry === undefined) break;
    const startLsn = history.entries[index - 1]?.switchLsn ?? lsn(0n);
    if (entry.switchLsn < limit) limit = entry.switchLsn;
    if (startLsn >= limit) continue;
    spans.push({ timeline: entry.parentTimeline, startLsn, endLsn: limit });
    limit = startLsn;
  }
  return spans.reverse();
}

/** The timeline that the byte at `position` lies on (`tliOfPointInHistory`); at a switch position, the newer one. */
export function timelineAtLsn(history: TimelineHistory, position: Lsn): TimelineId {
  const span = ancestorsOf(history).findLast(({ startLsn }) => startLsn <= position);
  return span?.timeline ?? history.timeline;
}

/** Whether `timeline` is the history's own or one of its ancestors (`tliInHistory`). */
export function historyContains(history: TimelineHistory, timeline: TimelineId): boolean {
  return (
    timeline === history.timeline || history.entries.some(({ parentTimeline }) => parentTimeline === timeline)
  );
}

/**
 * Where the history leaves `timeline` (`tliSwitchPoint`); undefined when it never does (its own timeline) or never was
 * on it: ask `historyContains` first.
 */
export function switchPointOf(history: TimelineHistory, timeline: TimelineId): Lsn | undefined {
  return history.entries.find(({ parentTimeline }) => parentTimeline === timeline)?.switchLsn;
}

/**
 * The timelines under which a segment may be found, in the order PostgreSQL asks for them (`XLogFileReadAnyTLI`): newest
 * first, and none that began in a later segment. The segment in which a timeline began exists under the parent's name
 * too, but only the child's copy holds the child's records.
 */
export function timelinesForSegment(
  history: TimelineHistory,
  segmentNumber: bigint,
  segmentSizeBytes: number,
): TimelineId[] {
  const timelines = [...history.entries.map(({ parentTimeline }) => parentTimeline), history.timeline];
  return timelines
    .filter((_, index) => {
      const begin = history.entries[index - 1]?.switchLsn ?? 0n;
      return begin / BigInt(segmentSizeBytes) <= segmentNumber;
    })
    .reverse();
}
