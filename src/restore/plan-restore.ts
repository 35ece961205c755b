import type { Lsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { segmentStartLsn } from "../postgres/wal-file-name.ts";
import { findBackup, type FinishedEntry } from "../repository/catalogue.ts";
import { requireFinished } from "../repository/backup-info.ts";
import { assert, EngineError, isEngineError } from "../common/errors.ts";
import { gatherFacts, type GatheredFacts } from "../repository/gathered-facts.ts";
import type { RepositoryFacts } from "../repository/plan-facts.ts";
import { planRecovery, type PlanRefusal, type RecoveryPlan } from "../repository/recovery-plan.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";
import { describeReplaced, describeTrouble } from "../repository/several-repositories.ts";
import { walReaderOf, type WalReader } from "../repository/wal-reader.ts";
import type { BackupParts } from "./backup-parts.ts";
import { readSources } from "./backup-sources.ts";
import { planLayouts, type BackupSource, type LayoutPlan } from "./part-layouts.ts";
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
  /** The repositories that have the backup, in the order in which they are asked; one at least. */
  readonly sources: readonly BackupSource[];
  /** As the first of them has it. */
  readonly backup: BackupParts;
  /** How it is put together from all of them. */
  readonly layouts: LayoutPlan;
  /** What the last segments say; undefined for `immediate`, which needs nothing beyond the backup's own. */
  readonly walEnd: WalEnd | undefined;
  /** Choices made and doubts left, for people. */
  readonly notes: readonly string[];
}

/** A quiet server switches segments by `archive_timeout`, each nearly empty: looking far back is rarely needed. */
const segmentsLookedAt = 8;

/**
 * Finds out, without writing anything, how to restore to a target from what the repositories hold together, or why not. A
 * repository that cannot be read is left out, and the plan says so; but nothing is called unreachable then, because it may
 * have what is missing. Throws `backup-absent` for a backup that does not exist or did not finish, `object-corrupt` for
 * metadata or WAL at the end that no repository has whole, and what the stores throw.
 */
export async function planRestore(options: {
  /** In the order in which they are to be asked; one at least. */
  readonly repositories: readonly Repository[];
  readonly request: RestoreRequest;
  readonly signal?: AbortSignal | undefined;
}): Promise<RestorePlan | PlanRefusal> {
  const gathered = await gatherFacts(options.repositories, options.signal);
  const unread = gathered.unread[0];
  try {
    const plan = await planFrom(gathered, options);
    if (plan.kind === "reachable" || unread === undefined) return plan;
    throw new EngineError(unread.error.code, `${describeTrouble(unread)}; without it, ${plan.reason}`, {
      cause: unread.error,
      hint: unread.error.hint ?? plan.hint,
    });
  } catch (error) {
    if (unread === undefined || !isEngineError(error, "backup-absent")) throw error;
    throw new EngineError(unread.error.code, `${describeTrouble(unread)}; without it, ${error.message}`, {
      cause: unread.error,
    });
  }
}

async function planFrom(
  gathered: GatheredFacts,
  { repositories, request, signal }: Parameters<typeof planRestore>[0],
): Promise<RestorePlan | PlanRefusal> {
  const { facts } = gathered;
  const recovery = planRecovery(facts, {
    target: request.target,
    timeline: request.timeline,
    backup: chooseBackup(repositories, facts, request.backup),
  });
  if (facts.backups.length === 0) return noBackup(repositories, facts);
  if (recovery.kind === "unreachable") return recovery;
  const { sources, notes: passedOver } = await readSources(gathered, recovery.backup, signal);
  const layouts = planLayouts(sources);
  const [first] = sources;
  if (layouts.problems.length > 0 || first === undefined) {
    return {
      kind: "unreachable",
      reason: `backup "${recovery.backup.id}" is not whole: ${layouts.problems.slice(0, 5).join("; ")}`,
      hint: "Choose another backup with --backup, or bring the missing objects back from another copy of the repository.",
    };
  }
  const backup = first.parts;
  const common = { kind: "reachable", sources, backup, layouts } as const;
  const before = [...gathered.notes, ...passedOver, ...layouts.replaced.map(describeReplaced)];
  if (recovery.target.kind === "immediate") {
    return { ...common, recovery, walEnd: undefined, notes: [...before, ...notesOf(recovery, backup)] };
  }
  const badWal = new Set<string>();
  const readWal = walReaderOf(gathered.listed, ({ repository, error }, { key }, from) =>
    badWal.add(
      describeReplaced({ repository: repository.name, key, reason: error.message, from: from.name }),
    ),
  );
  const read = await readWalEnd(readWal, recovery, signal);
  const reach = checkReach(read.recovery, read.walEnd);
  if (reach.kind === "unreachable") return reach;
  const forks =
    request.timeline === "latest"
      ? await forkNotes(readWal, { facts, recovery: read.recovery, maxSegments: segmentsLookedAt, signal })
      : [];
  return {
    ...common,
    recovery: read.recovery,
    walEnd: read.walEnd,
    notes: [...before, ...badWal, ...notesOf(recovery, backup), ...reach.notes, ...forks],
  };
}

/** The same plan with repositories that were opened anew, by their names: as another user, say. */
export function withRepositories(plan: RestorePlan, repositories: readonly Repository[]): RestorePlan {
  const again = plan.sources.flatMap(({ repository: { name }, parts }) =>
    repositories
      .filter((repository) => repository.name === name)
      .map((repository) => ({ repository, parts })),
  );
  return { ...plan, sources: again, layouts: { ...planLayouts(again), replaced: plan.layouts.replaced } };
}

/** What there is instead: nothing under this name, or backups that did not finish or cannot be read. */
function noBackup(repositories: readonly Repository[], { catalogue }: RepositoryFacts): PlanRefusal {
  const found = catalogue.slice(-5).map((entry) => {
    const why = entry.kind === "unreadable" ? `unreadable: ${entry.error}` : entry.kind;
    return `"${entry.id}" (${why})`;
  });
  return {
    kind: "unreachable",
    reason: `repository ${repositories.map((each) => `"${describeRepository(each)}"`).join(", ")} holds no finished backup${found.length === 0 ? "" : `, only ${found.join(", ")}`}`,
    hint:
      found.length === 0
        ? 'Are repository and server name right? A backup is taken with "tidemark base create".'
        : "Look whether another copy of the repository has a whole one.",
  };
}

function chooseBackup(
  [repository]: readonly Repository[],
  facts: RepositoryFacts,
  wanted: string,
): FinishedEntry | undefined {
  if (wanted === "auto") return undefined;
  if (wanted === "latest" && facts.backups.length === 0) return undefined;
  assert(repository !== undefined, "there is a repository");
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
  readWal: WalReader,
  recovery: RecoveryPlan,
  signal: AbortSignal | undefined,
): Promise<{ readonly walEnd: WalEnd; readonly recovery: RecoveryPlan }> {
  const { target, backup } = recovery;
  const look = async (segments: RecoveryPlan["segments"]) =>
    findWalEnd(readWal, {
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
