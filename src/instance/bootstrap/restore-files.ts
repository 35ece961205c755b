import { isAbsolute, resolve } from "node:path";
import { prefetchRootOf, restoreCommandLine } from "../../agent/shell-text.ts";
import { EngineError } from "../../common/errors.ts";
import { formatBytes } from "../../common/units.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { RecoveryTarget } from "../../postgres/recovery-settings.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { describeRepository, type Repository } from "../../repository/repository.ts";
import { planRestore, type RestorePlan } from "../../restore/plan-restore.ts";
import { summarizePlan } from "../../restore/plan-summary.ts";
import { describePlan } from "../../restore/plan-text.ts";
import { runRestore, type RestoreResult } from "../../restore/run-restore.ts";
import { tablespaceTargets, type TablespaceMap } from "../../restore/tablespaces.ts";
import { makeOwnDirectory } from "../configuration/own-files.ts";
import type { InstanceBootstrap } from "../instance-spec.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";
import { tablespaceDirectory } from "./tablespace-directory.ts";

type RecoveryJob = BootstrapJob<"recovery">;

/**
 * Finds out how to reach the target from the repositories; `backup` as in the specification. Throws `target-unreachable` in the
 * planner's words when it cannot be done, and what `planRestore` throws.
 */
export async function planFrom(
  repositories: readonly Repository[],
  { bootstrap, signal }: RecoveryJob,
  backup: string,
): Promise<RestorePlan> {
  const { timeline } = bootstrap;
  const plan = await planRestore({
    repositories,
    request: {
      target: targetOf(bootstrap.target),
      timeline: timeline === "latest" ? timeline : timelineId(timeline),
      backup,
    },
    signal,
  });
  if (plan.kind === "reachable") return plan;
  throw new EngineError("target-unreachable", `this cannot be restored: ${plan.reason}`, { hint: plan.hint });
}

function targetOf(target: Extract<InstanceBootstrap, { kind: "recovery" }>["target"]): RecoveryTarget {
  return target.kind === "lsn" ? { ...target, lsn: parseLsn(target.lsn) } : target;
}

/** The plan for a person, a line for each fact. Throws `target-directory` for tablespaces that would be in each other's way. */
export function planLines(plan: RestorePlan, job: RecoveryJob): string[] {
  const targets = tablespaceTargets(plan.recovery.backup.info, job.folder.data, mapTablespaces(plan, job));
  const facts = [
    ...plan.sources.map(({ repository }) => ["repository", describeRepository(repository)] as const),
    ...describePlan(summarizePlan(plan, targets)),
  ];
  return facts.map(([name, value]) => `${name}: ${value}`);
}

/**
 * Restores the backup of a plan into the attempt's data directory and sets it up for recovery, with the instance's
 * configuration. What is about to be filled is noted first. Throws what `runRestore` throws.
 */
export async function restoreFiles(plan: RestorePlan, job: RecoveryJob): Promise<RestoreResult> {
  const { attempt, folder, user, binaries, log, signal, onActivity } = job;
  const { backup } = plan.recovery;
  const tablespaceMap = mapTablespaces(plan, job);
  const targets = tablespaceTargets(backup.info, attempt.data, tablespaceMap);
  const elsewhere = targets.filter(({ kind }) => kind === "link").map(({ directory }) => directory);
  await attempt.note({ backup: backup.id, tablespaces: elsewhere });
  if (elsewhere.length > 0) await makeOwnDirectory(folder.tablespaces, user);
  return runRestore({
    plan,
    dataDirectory: attempt.data,
    tablespaceMap,
    recovery: {
      restoreCommand: restoreCommandLine(prefetchRootOf(attempt.data)),
      action: "promote",
      configuration: "outside",
    },
    owner: user,
    serverMajor: binaries.major,
    log,
    signal,
    progress: ({ phase, doneBytes, totalBytes }) =>
      onActivity(
        phase === "unpack"
          ? `restoring base backup ${backup.id}: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`
          : `finishing the restore of base backup ${backup.id}`,
      ),
  });
}

/** Each tablespace goes where the specification says, else into the instance's folder: never where its origin has it. */
function mapTablespaces(plan: RestorePlan, { bootstrap, folder }: RecoveryJob): TablespaceMap {
  const map = new Map<string, string>();
  for (const { name, oid, location } of plan.recovery.backup.info.tablespaces) {
    const given = Object.hasOwn(bootstrap.tablespaces, name) ? bootstrap.tablespaces[name] : undefined;
    if (given !== undefined) map.set(name, resolve(given));
    // One in place lies in the data directory, and stays there.
    else if (isAbsolute(location)) map.set(name, tablespaceDirectory(folder, { name, oid }));
  }
  return map;
}
