import { EngineError } from "../common/errors.ts";
import { parseLsn, type Lsn } from "./lsn.ts";
import { timelineId, type TimelineId } from "./timeline.ts";
import { parseWalSegmentName, timelineOfSegment, type WalSegmentName } from "./wal-file-name.ts";

/*
 * The text that `pg_backup_stop` returns for the file backup_label, and that PostgreSQL archives with three more lines
 * as `<segment>.<offset>.backup` (build_backup_content in xlogbackup.c; read_backup_label in xlogrecovery.c).
 */

/** A backup label. Times are PostgreSQL's text in `log_timezone`, whose abbreviations are ambiguous: for people only. */
export interface BackupLabel {
  /** Where replay must start, and the segment that holds it. */
  readonly startLsn: Lsn;
  readonly startSegment: WalSegmentName;
  readonly startTimeline: TimelineId;
  readonly checkpointLsn: Lsn;
  /** `streamed`, or `pg_start_backup` for the exclusive mode of 13 and 14. */
  readonly method: string | undefined;
  /** Which kind of server it was taken from. */
  readonly from: "primary" | "standby" | undefined;
  readonly startTime: string | undefined;
  readonly label: string | undefined;
  /** The backup that an incremental backup (17 and later) builds on: where that one started. */
  readonly incrementalFrom: { readonly lsn: Lsn; readonly timeline: TimelineId } | undefined;
  /** Only in the archived `.backup` file. */
  readonly stop: BackupLabelStop | undefined;
}

export interface BackupLabelStop {
  readonly lsn: Lsn;
  /** The last segment that the backup needs. */
  readonly segment: WalSegmentName;
  readonly time: string | undefined;
  readonly timeline: TimelineId;
}

/**
 * Reads a backup label or the archived `.backup` file. Like PostgreSQL it asks for the start and checkpoint positions on
 * whole lines, and that the timelines named agree; it takes the other lines where they are, and ignores others. Throws
 * `postgres-format`.
 */
export function parseBackupLabel(text: string): BackupLabel {
  const lines = wholeLines(text);
  const start = lines.get("START WAL LOCATION");
  const checkpoint = lines.get("CHECKPOINT LOCATION");
  if (start === undefined || checkpoint === undefined) {
    throw invalid(`it has no line "${start === undefined ? "START WAL LOCATION" : "CHECKPOINT LOCATION"}"`);
  }
  try {
    const { lsn: startLsn, segment: startSegment } = parseLocation(start);
    return {
      startLsn,
      startSegment,
      startTimeline: parseTimeline(lines.get("START TIMELINE"), startSegment),
      checkpointLsn: parseLsn(checkpoint),
      method: lines.get("BACKUP METHOD"),
      from: parseFrom(lines.get("BACKUP FROM")),
      startTime: lines.get("START TIME"),
      label: lines.get("LABEL"),
      incrementalFrom: parseIncremental(lines),
      stop: parseStop(lines),
    };
  } catch (cause) {
    throw invalid("a line is not as PostgreSQL writes it", cause);
  }
}

/** `KEY: value` of every line that ends; the first of two lines with one key counts, as for PostgreSQL. */
function wholeLines(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, key = "", value = ""] of text.matchAll(/^([A-Z ]+): (.*?)\r?\n/gm)) {
    if (!found.has(key)) found.set(key, value);
  }
  return found;
}

function parseLocation(value: string): { lsn: Lsn; segment: WalSegmentName } {
  const match = /^(\S+) \(file (\S+)\)$/.exec(value);
  if (match === null) throw invalid(`"${value}" is not a WAL location`);
  return { lsn: parseLsn(match[1] ?? ""), segment: parseWalSegmentName(match[2] ?? "") };
}

/** The timeline named by its own line must be the segment's (`read_backup_label` refuses otherwise). */
function parseTimeline(value: string | undefined, segment: WalSegmentName): TimelineId {
  const named = timelineOfSegment(segment);
  if (value !== undefined && timelineId(Number(value)) !== named) {
    throw invalid(`it says timeline ${value}, but segment "${segment}" is of timeline ${named}`);
  }
  return named;
}

function parseFrom(value: string | undefined): BackupLabel["from"] {
  // 13 still says "master".
  if (value === "master") return "primary";
  if (value === undefined || value === "primary" || value === "standby") return value;
  throw invalid(`it is from "${value}", not from a primary or standby`);
}

function parseIncremental(lines: ReadonlyMap<string, string>): BackupLabel["incrementalFrom"] {
  const from = lines.get("INCREMENTAL FROM LSN");
  if (from === undefined) return undefined;
  return { lsn: parseLsn(from), timeline: timelineId(Number(lines.get("INCREMENTAL FROM TLI"))) };
}

function parseStop(lines: ReadonlyMap<string, string>): BackupLabelStop | undefined {
  const location = lines.get("STOP WAL LOCATION");
  if (location === undefined) return undefined;
  const { lsn, segment } = parseLocation(location);
  return {
    lsn,
    segment,
    time: lines.get("STOP TIME"),
    timeline: parseTimeline(lines.get("STOP TIMELINE"), segment),
  };
}

function invalid(reason: string, cause?: unknown): EngineError {
  return new EngineError("postgres-format", `the backup label is invalid: ${reason}`, { cause });
}
