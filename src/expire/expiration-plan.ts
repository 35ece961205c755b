import type { BackupId } from "../repository/backup-id.ts";
import { finishedBackups, type CatalogueEntry } from "../repository/catalogue.ts";
import { windowStart, type RetentionPolicy } from "./retention-policy.ts";

/** What a retention policy says of one backup, and why. */
export interface BackupVerdict {
  readonly id: BackupId;
  /** `kept`: it would be obsolete, and has a keep mark. `no-part`: it did not finish, or cannot be read; retention never touches it. */
  readonly verdict: "valid" | "obsolete" | "kept" | "no-part";
  readonly reason: string;
}

/** What a policy does to a repository; a dry run shows it, and a run follows it. */
export interface ExpirationPlan {
  readonly policy: RetentionPolicy;
  readonly windowStart: Date;
  /** Every folder of the catalogue: those that did not finish first, then the finished ones, oldest first. */
  readonly verdicts: readonly BackupVerdict[];
  /** In the order in which they are to be deleted: oldest first, so that the WAL before the next one goes with each. */
  readonly obsolete: readonly BackupId[];
}

/**
 * Which backups a recovery window makes obsolete: Barman's classification (spec: barman-layout, 11.2). From the newest to
 * older ones, all are valid up to and including the first that ended before the window began: without it the window's start
 * could not be returned to. Those before it are obsolete, unless they have a keep mark. So the newest backup is never
 * obsolete. Unlike Barman it goes by the time at which backups ended, not by their names.
 */
export function planExpiration(
  catalogue: readonly CatalogueEntry[],
  { policy, now }: { readonly policy: RetentionPolicy; readonly now: Date },
): ExpirationPlan {
  const start = windowStart(policy, now);
  const finished = finishedBackups(catalogue);
  const base = finished.findLastIndex(({ info }) => info.endTime < start);
  const verdicts = finished.map(({ id, keep, info }, index): BackupVerdict => {
    if (index === base) {
      return { id, verdict: "valid", reason: "the window's start is reached from it" };
    }
    if (index > base) {
      return { id, verdict: "valid", reason: `it ended within the window, at ${info.endTime.toISOString()}` };
    }
    if (keep !== undefined) return { id, verdict: "kept", reason: `it has the keep mark "${keep}"` };
    return {
      id,
      verdict: "obsolete",
      reason: `the window's start is reached from "${finished[base]?.id ?? ""}", which is newer`,
    };
  });
  const others = catalogue
    .filter((entry) => entry.kind !== "done")
    .map(({ id, kind }): BackupVerdict => ({ id, verdict: "no-part", reason: noParts[kind] }));
  return {
    policy,
    windowStart: start,
    verdicts: [...others, ...verdicts],
    obsolete: verdicts.filter(({ verdict }) => verdict === "obsolete").map(({ id }) => id),
  };
}

const noParts: Readonly<Record<Exclude<CatalogueEntry["kind"], "done">, string>> = {
  failed: "its writer said that it failed",
  incomplete: "it is running, or was killed",
  unreadable: "its backup.info cannot be read",
};
