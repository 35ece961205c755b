import type { WalSegmentName } from "../postgres/wal-file-name.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { finishedBackups, type CatalogueEntry, type FinishedEntry } from "../repository/catalogue.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import type { IncompleteBackup } from "./incomplete.ts";

/**
 * Which WAL goes with a deleted backup: pure. Barman's rules (spec: 11.3), and one of ours: nothing that a remaining
 * backup replays goes, whatever Barman's string comparison says (a standby's backup may begin before an older one ends).
 */
export type WalPruning =
  | {
      readonly kind: "prune";
      /** Segments, partial segments and label files; history files always stay. */
      readonly objects: readonly WalObject[];
      readonly bytes: number;
      /** In words, for the operator. */
      readonly reason: string;
    }
  | { readonly kind: "keep-all"; readonly reason: string };

export interface PruningFacts {
  readonly catalogue: readonly CatalogueEntry[];
  /** Unfinished backups that may still become good ones. */
  readonly running: readonly IncompleteBackup[];
  /** Everything in `wals/`. */
  readonly wal: readonly WalObject[];
  /**
   * A retention policy asks: an older backup with the keep mark `standalone` needs its own WAL only, and does not hold the
   * rest. Asked by name, it does, as in Barman.
   */
  readonly byPolicy?: boolean;
}

export function planWalPruning(deleted: CatalogueEntry, facts: PruningFacts): WalPruning {
  if (deleted.kind !== "done")
    return { kind: "keep-all", reason: "the backup did not finish, so no WAL is only its own" };
  const unreadable = facts.catalogue.find((entry) => entry.kind === "unreadable" && entry.id !== deleted.id);
  if (unreadable !== undefined) {
    return {
      kind: "keep-all",
      reason: `backup "${unreadable.id}" cannot be read, so nobody knows which WAL it needs`,
    };
  }
  const silent = facts.running.find(({ mark, wasComplete }) => mark?.beginWal === undefined && !wasComplete);
  if (silent !== undefined) {
    return {
      kind: "keep-all",
      reason: `unfinished backup "${silent.id}" does not say which WAL it needs (if it is dead: tidemark base delete --incomplete --force)`,
    };
  }
  const finished = finishedBackups(facts.catalogue);
  const at = finished.findIndex((entry) => entry.id === deleted.id);
  const isHolding = ({ keep }: FinishedEntry) => facts.byPolicy !== true || keep !== "standalone";
  const older = finished.slice(0, at).findLast(isHolding);
  if (older !== undefined) {
    return { kind: "keep-all", reason: `the older backup "${older.id}" needs the WAL from its own start on` };
  }
  const remaining = finished.toSpliced(at, 1);
  const until = finished[at + 1] ?? deleted;
  const context: Context = {
    until,
    protectedTimelines: new Set(
      remaining.map(({ info }) => info.timeline).filter((timeline) => timeline !== until.info.timeline),
    ),
    standalone: remaining.filter(({ keep }) => keep === "standalone"),
    begins: [
      ...remaining.filter(({ keep }) => keep !== "standalone").map(({ info }) => info.beginWal),
      ...facts.running.flatMap(({ mark }) => (mark?.beginWal === undefined ? [] : [mark.beginWal])),
    ],
  };
  const objects = facts.wal.filter((object) => isPrunable(object, context));
  return {
    kind: "prune",
    objects,
    bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    reason:
      until === deleted
        ? `no finished backup remains; WAL before this one's start, ${until.info.beginWal}, goes`
        : `the next backup, "${until.id}", needs WAL from ${until.info.beginWal} on`,
  };
}

interface Context {
  readonly until: FinishedEntry;
  readonly protectedTimelines: ReadonlySet<number>;
  readonly standalone: readonly FinishedEntry[];
  /** Where replay of each remaining or running backup begins. */
  readonly begins: readonly WalSegmentName[];
}

function isPrunable({ file }: WalObject, context: Context): boolean {
  if (file.kind === "history") return false;
  const { segment, timeline } = file;
  if (segment >= context.until.info.beginWal || context.protectedTimelines.has(timeline)) return false;
  const spared = context.standalone.some(
    ({ info }) => info.beginWal <= segment && segment <= info.endWal && sameTimeline(info.beginWal, segment),
  );
  if (spared) return false;
  return !context.begins.some((begin) => sameTimeline(begin, segment) && segment >= begin);
}

/** On one timeline the order of names is that of positions. */
function sameTimeline(a: WalSegmentName, b: WalSegmentName): boolean {
  return a.slice(0, 8) === b.slice(0, 8);
}

/** Why a backup may not be deleted; undefined when it may. */
export type DeletionRefusal =
  | { readonly kind: "kept"; readonly keep: string }
  | { readonly kind: "last-good" }
  | { readonly kind: "perhaps-running" };

/** `force` overrules all but a keep mark, which is released by name. */
export function refuseDeletion(
  entry: CatalogueEntry,
  catalogue: readonly CatalogueEntry[],
  given: { readonly force: boolean; readonly isDead: boolean },
): DeletionRefusal | undefined {
  if (entry.keep !== undefined) return { kind: "kept", keep: entry.keep };
  if (given.force) return undefined;
  if (entry.kind === "incomplete" && !given.isDead) return { kind: "perhaps-running" };
  const finished: readonly { readonly id: BackupId }[] = finishedBackups(catalogue);
  return entry.kind === "done" && finished.length === 1 ? { kind: "last-good" } : undefined;
}
