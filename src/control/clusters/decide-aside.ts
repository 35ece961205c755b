import type { AsideEntry } from "./aside-folders.ts";

/** How long what was put aside stays at least. */
const keptDays = 7;
const dayMs = 86_400_000;

export interface AsideFacts {
  readonly entries: readonly AsideEntry[];
  /** The uid of the Cluster that is there now. */
  readonly owner: string;
  /** When the newest base backup of the cluster was completed, as its status has it; undefined when there is none. */
  readonly lastBackup: string | undefined;
  readonly now: Date;
}

/** Until when an entry stays at least; undefined for one that only a person removes. */
export function keptUntil({ putAsideAt, reason, owner }: AsideEntry, cluster: string): Date | undefined {
  if (putAsideAt === undefined || reason !== "replaced" || owner !== cluster) return undefined;
  return new Date(putAsideAt.getTime() + keptDays * dayMs);
}

/**
 * What was put aside and is not needed any more: the Cluster it was of is the one that is there, it has been there for a week, in which
 * whoever misses something had time to look, and a base backup of the cluster was completed since. Of another Cluster, or one whose
 * database was lost, it may be the last copy: that is for a person to remove.
 */
export function asideToRemove({ entries, owner, lastBackup, now }: AsideFacts): readonly AsideEntry[] {
  return entries.filter((entry) => {
    const until = keptUntil(entry, owner);
    if (until === undefined || entry.putAsideAt === undefined || lastBackup === undefined) return false;
    return until <= now && Date.parse(lastBackup) > entry.putAsideAt.getTime();
  });
}
