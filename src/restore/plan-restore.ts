import type { Lsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { segmentStartLsn } from "../postgres/wal-file-name.ts";
import { findBackup, type FinishedEntry } from "../repository/catalogue.ts";
import { requireFinished } from "../repository/backup-info.ts";
import { EngineError } from "../common/errors.ts";
import { readPlanFacts, type RepositoryFacts } from "../repository/plan-facts.ts";
import { planRecovery, type PlanRefusal, type RecoveryPlan } from "../repository/recovery-plan.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";
import { readBackupParts, type BackupParts } from "./backup-parts.ts";
import { checkReach } from "./plan-reach.ts";
import { forkNotes } from "./fork-notes.ts";
import { findWalEnd, type WalEnd } from "./wal-end.ts";

export interface RestoreRequest {
  readonly target: RecoveryTarget;
  readonly timeline: "latest" | TimelineId;
  /** `auto`: the best one for the target. `latest`: the newest finished one. Else an ID or a backup's name. */
  readonly backup: string;
}

/** A way to the target that was found to be open. */
export interface RestorePlan {
  readonly kind: "reachable";
  readonly recovery: RecoveryPlan;
  readonly backup: BackupParts;
  /** What the last segments say; undefined for `immediate`, which needs nothing beyond the backup's own. */
  readonly walEnd: WalEnd | undefined;
  /** Choices made and doubts left, for people. */
  readonly notes: readonly string[];
}

/** A quiet server switches segments by `archive_timeout`, each nearly empty: looking far back is rarely needed. */
const segmentsLookedAt = 8;

/**
 * Finds out, without writing anything, how to restore to a target, or why not. Throws `backup-absent` for a backup that
 * does not exist or did not finish, `object-corrupt` for metadata or WAL at the end that cannot be read, and what the
 * store throws.
 */
export async function planRestore(options: {
  readonly repository: Repository;
  readonly request: RestoreRequest;
  readonly signal?: AbortSignal | undefined;
}): Promise<RestorePlan | PlanRefusal> {
  const { repository, request, signal } = options;
  const facts = await readPlanFacts(repository, { signal });
  const recovery = planRecovery(facts, {
    target: request.target,
    timeline: request.timeline,
    backup: chooseBackup(repository, facts, request.backup),
  });
  if (facts.backups.length === 0) return noBackup(repository, facts);
  if (recovery.kind === "unreachable") return recovery;
  const backup = await readBackupParts(repository, recovery.backup, signal);
  if (backup.problems.length > 0) {
    return {
      kind: "unreachable",
      reason: `backup "${recovery.backup.id}" is not whole: ${backup.problems.slice(0, 5).join("; ")}`,
      hint: "Choose another backup with --backup, or bring the missing objects back from another copy of the repository.",
    };
  }
  if (recovery.target.kind === "immediate") {
    return { kind: "reachable", recovery, backup, walEnd: undefined, notes: notesOf(recovery, backup) };
  }
  const read = await readWalEnd(repository, recovery, signal);
  const reach = checkReach(read.recovery, read.walEnd);
  if (reach.kind === "unreachable") return reach;
  const forks =
    request.timeline === "latest"
      ? await forkNotes(repository, { facts, recovery: read.recovery, maxSegments: segmentsLookedAt, signal })
      : [];
  return {
    kind: "reachable",
    recovery: read.recovery,
    backup,
    walEnd: read.walEnd,
    notes: [...notesOf(recovery, backup), ...reach.notes, ...forks],
  };
}

/** What there is instead: nothing under this name, or backups that did not finish or cannot be read. */
function noBackup(repository: Repository, { catalogue }: RepositoryFacts): PlanRefusal {
  const found = catalogue.slice(-5).map((entry) => {
    const why = entry.kind === "unreadable" ? `unreadable: ${entry.error}` : entry.kind;
    return `"${entry.id}" (${why})`;
  });
  return {
    kind: "unreachable",
    reason: `repository "${describeRepository(repository)}" holds no finished backup${found.length === 0 ? "" : `, only ${found.join(", ")}`}`,
    hint:
      found.length === 0
        ? 'Are repository and server name right? A backup is taken with "tidemark base create".'
        : "Look whether another copy of the repository has a whole one.",
  };
}

function chooseBackup(
  repository: Repository,
  facts: RepositoryFacts,
  wanted: string,
): FinishedEntry | undefined {
  if (wanted === "auto") return undefined;
  if (wanted === "latest" && facts.backups.length === 0) return undefined;
  const entry = findBackup(repository, facts.catalogue, wanted);
  switch (entry.kind) {
    case "done":
      return entry;
    case "failed":
      requireFinished(entry.id, entry.info);
      break;
    case "incomplete":
    case "unreadable":
      break;
  }
  const why =
    entry.kind === "unreadable" ? `its backup.info cannot be read: ${entry.error}` : "it has no backup.info";
  throw new EngineError("backup-absent", `backup "${entry.id}" cannot be restored: ${why}`, {
    hint: 'Choose a finished backup; "tidemark base list" shows them.',
  });
}

async function readWalEnd(
  repository: Repository,
  recovery: RecoveryPlan,
  signal: AbortSignal | undefined,
): Promise<{ readonly walEnd: WalEnd; readonly recovery: RecoveryPlan }> {
  const { target, backup } = recovery;
  const look = async (segments: RecoveryPlan["segments"]) =>
    findWalEnd(repository, {
      segments,
      segmentSizeBytes: backup.info.walSegmentSizeBytes,
      systemIdentifier: backup.info.systemIdentifier,
      findTransaction: target.kind === "time",
      maxSegments: segmentsLookedAt,
      signal,
    });
  if (target.kind === "lsn") {
    // The segment behind the target's is in the plan only in case that no record starts behind the target in its own.
    const without = withoutSegmentBehind(recovery, target.lsn);
    const walEnd = await look(without.segments);
    if (walEnd.lastRecordLsn !== undefined && walEnd.lastRecordLsn >= target.lsn) {
      return { walEnd, recovery: without };
    }
  }
  return { walEnd: await look(recovery.segments), recovery };
}

function withoutSegmentBehind(recovery: RecoveryPlan, target: Lsn): RecoveryPlan {
  const { walSegmentSizeBytes } = recovery.backup.info;
  const segments = recovery.segments.filter(
    ({ file }) => file.kind === "segment" && segmentStartLsn(file.segment, walSegmentSizeBytes) <= target,
  );
  return { ...recovery, segments, walBytes: segments.length * walSegmentSizeBytes };
}

function notesOf(recovery: RecoveryPlan, { manifest }: BackupParts): string[] {
  const notes = [...recovery.notes];
  if (manifest === undefined) {
    notes.push(
      "the backup was not made by Tidemark and has no manifest: a lost last part would not be noticed",
    );
  }
  const damaged = manifest?.damagedPageCount ?? 0;
  if (damaged > 0) notes.push(`the backup holds ${damaged} pages whose checksum was wrong when it was taken`);
  if (!recovery.historyIsStored) {
    notes.push(
      `the archive has no history file of timeline ${recovery.history.timeline}; recovery stays on the backup's own timeline`,
    );
  }
  return notes;
}
