import type { TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import type { Damage, HealInventory } from "./inventory.ts";
import type { HealNote, WalSource, WalStep } from "./heal-plan.ts";
import { wantedWal, type HeldBackup } from "./wanted-wal.ts";

export interface WalQuestion {
  readonly target: HealInventory;
  readonly others: readonly HealInventory[];
  readonly damages: readonly Damage[];
  /** Of the target, those included that it is about to get. */
  readonly held: readonly HeldBackup[];
  /** Segments that the backups it is about to get need, by name. */
  readonly needed: ReadonlySet<string>;
  readonly walSegmentSizeBytes: number | undefined;
  /** Stored later than this: its archiver may be about to store it in the target as well. */
  readonly settledBefore: Date;
}

/** WAL that a repository lacks or has damaged, and another one has: pure. In the order of the names. */
export function planWal(question: WalQuestion): {
  readonly steps: readonly WalStep[];
  readonly notes: readonly HealNote[];
} {
  const { target, others, held, needed, settledBefore } = question;
  const isWanted = wantedWal(held, mergedHistories([target, ...others]));
  const names = new Set([...others.flatMap(({ wal }) => [...wal.keys()]), ...target.wal.keys()]);
  const steps: WalStep[] = [];
  const notes: HealNote[] = [];
  for (const name of [...names].sort()) {
    const own = target.wal.get(name) ?? [];
    const damaged = own.flatMap((object) => {
      const reason = problemOf(object, target, question);
      return reason === undefined ? [] : [{ object, reason }];
    });
    if (own.length > damaged.length) continue;
    const sources = others.flatMap((other) => soundCopies(name, other, question));
    const [first] = sources;
    if (first === undefined) {
      const [worst] = damaged;
      if (worst !== undefined) {
        const reason = `${worst.reason}, and no other repository has a good copy`;
        notes.push({ repository: target.repository.name, what: name, reason });
      }
      continue;
    }
    const isSettled = sources.some(({ object }) => object.modifiedAt < settledBefore);
    if (own.length === 0 && !needed.has(name) && !(isSettled && isWanted(first.object.file))) continue;
    steps.push({
      kind: "wal",
      target: target.repository,
      file: first.object.file,
      sources,
      damaged: damaged.map(({ object }) => object),
      reason: damaged[0]?.reason ?? "it is missing",
      bytes: first.object.sizeBytes,
    });
  }
  return { steps, notes };
}

function soundCopies(name: string, other: HealInventory, question: WalQuestion): WalSource[] {
  const copies = (other.wal.get(name) ?? []).filter(
    (object) => problemOf(object, other, question) === undefined,
  );
  return copies.map((object) => ({ repository: other.repository, object }));
}

function problemOf(
  { file, key, codec, sizeBytes }: WalObject,
  { repository, histories }: HealInventory,
  { damages, walSegmentSizeBytes, target, others }: WalQuestion,
): string | undefined {
  const known = damages.find((damage) => damage.repository === repository.name && damage.key === key);
  if (known !== undefined) return known.reason;
  if (sizeBytes === 0) return "it is empty";
  if (file.kind === "segment" && codec === "none" && (walSegmentSizeBytes ?? sizeBytes) !== sizeBytes) {
    return `it has ${sizeBytes} bytes, but segments have ${walSegmentSizeBytes}`;
  }
  if (file.kind !== "history") return undefined;
  // One that was cut behind a line, or is another timeline's, has its form and tells less.
  const longest = mergedHistories([target, ...others]).get(file.timeline)?.entries.length ?? 0;
  const own = histories.get(file.timeline)?.entries.length ?? longest;
  return own < longest ? `it names ${own} parent timelines, and another copy ${longest}` : undefined;
}

function mergedHistories(inventories: readonly HealInventory[]): ReadonlyMap<TimelineId, TimelineHistory> {
  const merged = new Map<TimelineId, TimelineHistory>();
  for (const [timeline, history] of inventories.flatMap(({ histories }) => [...histories])) {
    const other = merged.get(timeline);
    if (other === undefined || other.entries.length < history.entries.length) merged.set(timeline, history);
  }
  return merged;
}
