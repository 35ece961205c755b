import type { Lsn } from "../postgres/lsn.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { historyContains, switchPointOf, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { segmentNumberOf } from "../postgres/wal-file-name.ts";
import { formatTime } from "../common/units.ts";
import type { FinishedEntry } from "./catalogue.ts";
import type { WalInventory, WalObject } from "./wal-inventory.ts";
import { collectWalRun, type WalRun } from "./wal-run.ts";

/** What the planner knows: facts read from a repository before a byte is copied. */
export interface PlanFacts {
  /** Finished backups, oldest end first. */
  readonly backups: readonly FinishedEntry[];
  readonly inventory: WalInventory;
  /** Parsed history files; timeline 1 has none. */
  readonly histories: ReadonlyMap<TimelineId, TimelineHistory>;
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
  /** The segments replay reads at most, in order. */
  readonly segments: readonly WalObject[];
  readonly walBytes: number;
  /** What a person should know: choices made and doubts left. */
  readonly notes: readonly string[];
}

export interface PlanRefusal {
  readonly kind: "unreachable";
  readonly reason: string;
  readonly hint: string;
}

/** Decides, from facts alone, how to reach a target, or why that cannot be done. */
export function planRecovery(facts: PlanFacts, request: PlanRequest): RecoveryPlan | PlanRefusal {
  if (facts.backups.length === 0) {
    return refuse("the repository holds no finished backup", 'Take one with "tidemark base create".');
  }
  const histories = candidateHistories(facts, request);
  if (histories.length === 0) {
    return refuse(
      `the repository holds no history of timeline ${request.timeline}`,
      `It knows the timelines ${knownTimelines(facts).join(", ")}.`,
    );
  }
  let refusal: PlanRefusal | undefined;
  for (const history of histories) {
    const choice = chooseBackup(facts, request, history);
    if (choice.kind === "chosen") return planFrom(facts, request, history, choice);
    refusal ??= choice;
  }
  return refusal ?? refuse("no timeline leads to the target", "Choose one with --timeline.");
}

function knownTimelines(facts: PlanFacts): TimelineId[] {
  const known = new Set<TimelineId>([
    ...facts.histories.keys(),
    ...facts.backups.map(({ info }) => info.timeline),
  ]);
  for (const object of facts.inventory.segments.values()) known.add(object.file.timeline);
  return [...known].sort((a, b) => a - b);
}

function candidateHistories(facts: PlanFacts, request: PlanRequest): TimelineHistory[] {
  const wanted = request.timeline === "latest" ? knownTimelines(facts).reverse() : [request.timeline];
  const known = new Set(knownTimelines(facts));
  return wanted
    .filter((timeline) => known.has(timeline))
    .map((timeline) => facts.histories.get(timeline) ?? { timeline, entries: [] });
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
    const note = `where ${target.kind === "xid" ? "this transaction" : "this restore point"} lies is not known beforehand, so replay starts at the oldest backup; --backup shortens it`;
    return { kind: "chosen", backup: oldest, notes: [note] };
  }
  return { kind: "chosen", backup: newest, notes: [] };
}

/** Whether the backup was complete before its timeline was left by this history. */
function liesOn(history: TimelineHistory, { info }: FinishedEntry): boolean {
  if (!historyContains(history, info.timeline)) return false;
  const left = switchPointOf(history, info.timeline);
  return left === undefined || info.endLsn <= left;
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
  const run = collectWalRun(facts.inventory, history, {
    beginWal: info.beginWal,
    segmentSizeBytes: info.walSegmentSizeBytes,
    throughSegment: neededThrough(target, info),
  });
  const endOfBackup = segmentNumberOf(info.endWal, info.walSegmentSizeBytes);
  if (run.hole !== undefined && run.hole.segmentNumber <= endOfBackup) {
    return refuse(
      `backup "${choice.backup.id}" cannot be used: its WAL segment "${run.hole.name}" is not in the archive`,
      "Choose another backup with --backup.",
    );
  }
  const refusal = holeRefusal(target, run, info.walSegmentSizeBytes);
  if (refusal !== undefined) return refusal;
  return {
    kind: "reachable",
    target,
    backup: choice.backup,
    history,
    segments: run.segments,
    walBytes: run.segments.length * info.walSegmentSizeBytes,
    notes: [...choice.notes, ...holeNotes(target, run)],
  };
}

/** The last segment number that replay must be able to read; undefined means to the end of the archive. */
function neededThrough(
  target: RecoveryTarget,
  info: { readonly endWal: FinishedEntry["info"]["endWal"]; readonly walSegmentSizeBytes: number },
): bigint | undefined {
  if (target.kind === "lsn") return target.lsn / BigInt(info.walSegmentSizeBytes);
  if (target.kind === "immediate") return segmentNumberOf(info.endWal, info.walSegmentSizeBytes);
  return undefined;
}

function holeRefusal(target: RecoveryTarget, run: WalRun, segmentSizeBytes: number): PlanRefusal | undefined {
  if (run.hole === undefined) return undefined;
  const lastGood = formatLsn((run.hole.segmentNumber * BigInt(segmentSizeBytes)) as Lsn);
  if (target.kind === "lsn" && run.hole.isEnd) {
    return refuse(
      `the archive ends at ${lastGood}, before the target ${formatLsn(target.lsn)}`,
      "Restore to an earlier position, or with --to-latest to the end of the archive.",
    );
  }
  if (target.kind === "lsn" || target.kind === "latest") {
    return refuse(
      `WAL segment "${run.hole.name}" is not in the archive, and the target lies behind it`,
      `Everything before ${lastGood} can be restored: give a time or position before it.`,
    );
  }
  return undefined;
}

function holeNotes(target: RecoveryTarget, run: WalRun): string[] {
  if (run.hole === undefined || run.hole.isEnd || target.kind === "immediate") return [];
  return [`WAL segment "${run.hole.name}" is not in the archive: only what lies before it can be reached`];
}

function refuse(reason: string, hint: string): PlanRefusal {
  return { kind: "unreachable", reason, hint };
}
