import { EngineError } from "../common/errors.ts";
import { formatLsn, lsn, type Lsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { ancestorsOf, switchPointOf, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { segmentNumberOf } from "../postgres/wal-file-name.ts";
import { formatTime } from "../common/units.ts";
import type { FinishedEntry } from "./catalogue.ts";
import type { WalInventory, WalObject } from "./wal-inventory.ts";
import { collectWalRun, type WalHole, type WalRun } from "./wal-run.ts";

/** What the planner knows: facts read from a repository before a byte is copied. */
export interface PlanFacts {
  /** Finished backups, oldest end first. */
  readonly backups: readonly FinishedEntry[];
  readonly inventory: WalInventory;
  /** Parsed history files; timeline 1 has none. */
  readonly histories: ReadonlyMap<TimelineId, TimelineHistory>;
  /** History files that are stored but cannot be read, and why. */
  readonly damagedHistories: ReadonlyMap<TimelineId, EngineError>;
}

export interface PlanRequest {
  readonly target: RecoveryTarget;
  /** `latest`: the newest timeline that leads on from a usable backup, as PostgreSQL's own `latest`. */
  readonly timeline: "latest" | TimelineId;
  /** A backup the caller has chosen; undefined lets the planner choose. */
  readonly backup: FinishedEntry | undefined;
}

export interface RecoveryPlan {
  readonly kind: "reachable";
  readonly target: RecoveryTarget;
  readonly backup: FinishedEntry;
  /** The timeline to recover along, with its ancestors. */
  readonly history: TimelineHistory;
  /** False when the archive lacks the history file of a timeline other than 1: then PostgreSQL must not be told its number. */
  readonly historyIsStored: boolean;
  /** The segments replay reads at most, in order. */
  readonly segments: readonly WalObject[];
  /** The first missing segment behind them, where the archive goes on after it. */
  readonly hole: WalHole | undefined;
  /** Size of the segments when decoded. */
  readonly walBytes: number;
  /** What a person should know: choices made and doubts left. */
  readonly notes: readonly string[];
}

export interface PlanRefusal {
  readonly kind: "unreachable";
  readonly reason: string;
  readonly hint: string;
}

/**
 * Decides, from facts alone, how to reach a target, or why that cannot be done. Throws `object-corrupt` or
 * `postgres-format` when it comes to a timeline whose history file is damaged.
 */
export function planRecovery(facts: PlanFacts, request: PlanRequest): RecoveryPlan | PlanRefusal {
  if (facts.backups.length === 0) {
    return refuse("the repository holds no finished backup", 'Take one with "tidemark base create".');
  }
  const timelines = candidateTimelines(facts, request);
  if (timelines.length === 0) {
    return refuse(
      `the repository holds no history of timeline ${request.timeline}`,
      `It knows the timelines ${knownTimelines(facts).join(", ")}.`,
    );
  }
  let refusal: PlanRefusal | undefined;
  for (const timeline of timelines) {
    const history = historyOf(facts, timeline);
    const choice = chooseBackup(facts, request, history);
    if (choice.kind === "chosen") return planFrom(facts, request, history, choice);
    refusal ??= choice;
  }
  return refusal ?? refuse("no timeline leads to the target", "Choose one with --timeline.");
}

function knownTimelines(facts: PlanFacts): TimelineId[] {
  const known = new Set<TimelineId>([
    ...facts.histories.keys(),
    ...facts.damagedHistories.keys(),
    ...facts.backups.map(({ info }) => info.timeline),
  ]);
  for (const object of facts.inventory.segments.values()) known.add(object.file.timeline);
  return [...known].sort((a, b) => a - b);
}

function candidateTimelines(facts: PlanFacts, request: PlanRequest): TimelineId[] {
  const known = knownTimelines(facts);
  if (request.timeline === "latest") return known.reverse();
  return known.filter((timeline) => timeline === request.timeline);
}

function historyOf({ histories, damagedHistories }: PlanFacts, timeline: TimelineId): TimelineHistory {
  const damaged = damagedHistories.get(timeline);
  if (damaged === undefined) return histories.get(timeline) ?? { timeline, entries: [] };
  throw new EngineError(damaged.code, damaged.message, {
    cause: damaged,
    details: damaged.details,
    hint: `Without it nobody can tell where timeline ${timeline} comes from. Bring the file back from another copy of the repository or from a server's pg_wal, or choose another timeline with --timeline.`,
  });
}

type Choice = { readonly kind: "chosen"; readonly backup: FinishedEntry; readonly notes: readonly string[] };

/** The newest backup that lies on the timeline's path and ends before the target. */
function chooseBackup(
  facts: PlanFacts,
  request: PlanRequest,
  history: TimelineHistory,
): Choice | PlanRefusal {
  const { target, backup } = request;
  const onPath = (backup === undefined ? facts.backups : [backup]).filter((entry) => liesOn(history, entry));
  const oldest = onPath[0];
  if (oldest === undefined) {
    return backup === undefined
      ? refuse(
          `no finished backup leads to timeline ${history.timeline}`,
          "Choose another timeline with --timeline.",
        )
      : refuse(
          `backup "${backup.id}" on timeline ${backup.info.timeline} does not lead to timeline ${history.timeline}`,
          "Choose another backup with --backup, or another timeline with --timeline.",
        );
  }
  const before = onPath.filter((entry) => endsBefore(entry, target));
  const newest = before.at(-1);
  if (newest === undefined) return tooEarly(oldest, target, backup !== undefined);
  if (backup === undefined && (target.kind === "xid" || target.kind === "name") && onPath.length > 1) {
    // Only the WAL itself says where a transaction or a restore point lies; from the oldest backup it cannot be missed.
    const [what, more] =
      target.kind === "xid"
        ? ["this transaction", ""]
        : [
            "this restore point",
            "; of several restore points of this name the first behind the chosen backup counts",
          ];
    const note = `where ${what} lies is not known beforehand, so replay starts at the oldest backup; --backup shortens it${more}`;
    return { kind: "chosen", backup: oldest, notes: [note] };
  }
  return { kind: "chosen", backup: newest, notes: [] };
}

/** Whether the backup was complete before its timeline was left by this history. */
function liesOn(history: TimelineHistory, { info }: FinishedEntry): boolean {
  // Spans, not switch positions: a newer switch can cut a timeline shorter than its own line says.
  const span = ancestorsOf(history).find(({ timeline }) => timeline === info.timeline);
  return span !== undefined && (span.endLsn === undefined || info.endLsn <= span.endLsn);
}

function endsBefore({ info }: FinishedEntry, target: RecoveryTarget): boolean {
  switch (target.kind) {
    case "time":
      return info.endTime.getTime() <= targetMilliseconds(target.time);
    case "lsn":
      return info.endLsn <= target.lsn;
    case "latest":
    case "immediate":
    case "xid":
    case "name":
      return true;
  }
}

/** The canonical text of a target time (`… 14:30:00.123456+00:00`) in whole milliseconds since 1970. */
export function targetMilliseconds(canonical: string): number {
  return Date.parse(canonical.replace(" ", "T").replace(/(\.\d{3})\d*/, "$1"));
}

function tooEarly({ id, info }: FinishedEntry, target: RecoveryTarget, chosen: boolean): PlanRefusal {
  const which = chosen ? `backup "${id}"` : `the first usable backup ("${id}")`;
  const hint = chosen
    ? "Choose an older backup with --backup, or let Tidemark choose by leaving it out."
    : "This is the earliest moment the repository can restore to.";
  if (target.kind === "lsn") {
    return refuse(
      `the target ${formatLsn(target.lsn)} is before the end of ${which}, ${formatLsn(info.endLsn)}`,
      hint,
    );
  }
  const asked = target.kind === "time" ? target.time : target.kind;
  return refuse(`the target ${asked} is before the end of ${which}, ${formatTime(info.endTime)}`, hint);
}

function planFrom(
  facts: PlanFacts,
  request: PlanRequest,
  history: TimelineHistory,
  choice: Choice,
): RecoveryPlan | PlanRefusal {
  const { target } = request;
  const { info } = choice.backup;
  const endOfBackup = segmentBefore(info.endLsn, info.walSegmentSizeBytes);
  const run = collectWalRun(facts.inventory, history, {
    beginWal: info.beginWal,
    segmentSizeBytes: info.walSegmentSizeBytes,
    ...neededSegments(target, endOfBackup, info.walSegmentSizeBytes),
  });
  if (run.hole !== undefined && run.hole.segmentNumber <= endOfBackup) {
    return refuse(
      `backup "${choice.backup.id}" cannot be used: its WAL segment "${run.hole.name}" is not in the archive`,
      "Choose another backup with --backup.",
    );
  }
  const refusal =
    holeRefusal(target, run, info.walSegmentSizeBytes) ??
    strayRefusal(target, run, history, info.walSegmentSizeBytes);
  if (refusal !== undefined) return refusal;
  return {
    kind: "reachable",
    target,
    backup: choice.backup,
    history,
    historyIsStored: history.timeline === 1 || facts.histories.has(history.timeline),
    segments: run.segments,
    hole: run.hole?.isEnd === false ? run.hole : undefined,
    walBytes: run.segments.length * info.walSegmentSizeBytes,
    notes: [...choice.notes, ...holeNotes(target, run)],
  };
}

/** The number of the segment that holds the byte before a position: on a boundary, nothing of the next is needed. */
function segmentBefore(position: Lsn, segmentSizeBytes: number): bigint {
  return position === 0n ? 0n : (position - 1n) / BigInt(segmentSizeBytes);
}

/**
 * Through which segment replay must be able to read, and through which it reads at most (undefined: the end of the
 * archive). To stop at a position PostgreSQL needs a record that starts there or later; where the segment of the
 * target holds none behind it, that is the first one of the next.
 */
function neededSegments(
  target: RecoveryTarget,
  endOfBackup: bigint,
  segmentSizeBytes: number,
): { readonly requiredThrough: bigint; readonly throughSegment: bigint | undefined } {
  if (target.kind === "immediate") return { requiredThrough: endOfBackup, throughSegment: endOfBackup };
  if (target.kind !== "lsn") return { requiredThrough: endOfBackup, throughSegment: undefined };
  const ofTarget = target.lsn / BigInt(segmentSizeBytes);
  return {
    requiredThrough: ofTarget > endOfBackup ? ofTarget : endOfBackup,
    throughSegment: ofTarget + 1n,
  };
}

function holeRefusal(target: RecoveryTarget, run: WalRun, segmentSizeBytes: number): PlanRefusal | undefined {
  if (run.hole === undefined) return undefined;
  const lastGood = formatLsn(startOf(run.hole, segmentSizeBytes));
  if (target.kind === "lsn") {
    if (run.hole.segmentNumber > target.lsn / BigInt(segmentSizeBytes)) return undefined;
    if (run.hole.isEnd) {
      return refuse(
        `the archive ends at ${lastGood}, before the target ${formatLsn(target.lsn)}`,
        "Restore to an earlier position, or to the end of the archive (latest).",
      );
    }
  }
  if (target.kind === "lsn" || target.kind === "latest") {
    return refuse(
      `WAL segment "${run.hole.name}" is not in the archive, and the target lies behind it`,
      `Everything before ${lastGood} can be restored: give a time or position before it.`,
    );
  }
  return undefined;
}

function startOf(hole: WalHole, segmentSizeBytes: number): Lsn {
  return lsn(hole.segmentNumber * BigInt(segmentSizeBytes));
}

/** See `WalRun.strayNext`: what would be replayed there was undone when the newer timeline was begun. */
function strayRefusal(
  target: RecoveryTarget,
  run: WalRun,
  history: TimelineHistory,
  segmentSizeBytes: number,
): PlanRefusal | undefined {
  const stray = run.strayNext;
  if (stray === undefined || stray.file.kind !== "segment" || target.kind === "immediate") return undefined;
  const start = segmentNumberOf(stray.file.segment, segmentSizeBytes) * BigInt(segmentSizeBytes);
  if (target.kind === "lsn" && target.lsn < start) return undefined;
  const switched = switchPointOf(history, stray.file.timeline);
  const where = switched === undefined ? "" : ` at ${formatLsn(switched)}`;
  return refuse(
    `the archive does not yet hold the WAL with which timeline ${history.timeline} left timeline ${stray.file.timeline}${where}: PostgreSQL would replay "${stray.file.name}" instead, which goes on past that point`,
    `Wait until the server on timeline ${history.timeline} has archived its first segment, or restore along --timeline ${stray.file.timeline}.`,
  );
}

function holeNotes(target: RecoveryTarget, run: WalRun): string[] {
  if (run.hole === undefined || run.hole.isEnd || target.kind === "immediate") return [];
  return [`WAL segment "${run.hole.name}" is not in the archive: only what lies before it can be reached`];
}

function refuse(reason: string, hint: string): PlanRefusal {
  return { kind: "unreachable", reason, hint };
}
