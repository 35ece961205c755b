import {
  failed,
  failureEvents,
  lookAgain,
  pending,
  waitedMs,
  waitingFor,
  type BackupDecision,
} from "./backup-decision.ts";
import { isTakenBySomeStore } from "../clusters/archiving-trouble.ts";
import type { BackupCluster, BackupFacts } from "./backup-facts.ts";
import { checkPrerequisites, type Prerequisites } from "./backup-prerequisites.ts";
import { backupPhases, isFinished, isUnderWay } from "./backup-status.ts";
import type { BackupView } from "./backup-view.ts";
import { chooseInstance, findPrimary } from "./choose-instance.ts";
import { followBackup } from "./follow-backup.ts";
import { startBackup } from "./start-backup.ts";

/** While there is something wrong with the world. */
const troubledMs = 30_000;
/** While another backup is running, which says only of itself that it has ended. */
const queuedMs = 2000;
/** How long failing archiving may keep a backup waiting: CloudNativePG's in-tree code tries ten times, once a minute. */
const archivingPatienceMs = 10 * 60_000;

/**
 * What is next for a Backup, from facts alone (spec: section 8.4). A finished one is never touched again; one under way is
 * followed; any other must be possible, be the next of its cluster, and find an instance to take it.
 */
export function decideBackup(facts: BackupFacts): BackupDecision {
  const { status } = facts.backup;
  if (isFinished(status)) return { status, events: [], tell: [], again: "never" };
  return isUnderWay(status) ? followBackup(facts) : admit(facts);
}

function admit(facts: BackupFacts): BackupDecision {
  const { backup, cluster } = facts;
  if (cluster === undefined) {
    return pending(facts, troubledMs, {
      reason: "FindingCluster",
      message: `unknown cluster "${backup.clusterName}", it is looked for again in 30 seconds`,
    });
  }
  const prerequisites = checkPrerequisites(backup, cluster);
  switch (prerequisites.kind) {
    case "invalid":
      // A Backup's specification cannot be changed: nothing will make it better but another Backup.
      return {
        status: { ...backup.status, phase: backupPhases.invalid, error: prerequisites.message },
        events: [],
        tell: [],
        again: "never",
      };
    case "failed": {
      const { reason, message } = prerequisites;
      return failed(facts, message, [{ type: "Warning", reason, message }]);
    }
    case "waiting":
      return pending(facts, troubledMs, { reason: "BackupPending", message: prerequisites.message });
    case "met":
      return takeTurn(facts, cluster, prerequisites);
  }
}

type Met = Extract<Prerequisites, { kind: "met" }>;

function takeTurn(facts: BackupFacts, cluster: BackupCluster, met: Met): BackupDecision {
  const { backup, instances } = facts;
  if (!isNext(facts)) return pending(facts, queuedMs);
  if (cluster.isUpgrading) {
    const message = "there is no backup during a major upgrade of PostgreSQL";
    return pending(facts, troubledMs, { reason: "BackupPending", message });
  }
  const own = ownJob(facts);
  if (own?.state === "running") return startBackup(facts, own.instance, met);
  // Of an attempt that was given up: under the same ID nothing would be begun.
  if (own !== undefined) {
    const request = { op: "forget-backup", id: backup.uid } as const;
    return { ...pending(facts, 1000), tell: [{ instance: own.instance.name, request }] };
  }
  const trouble = archivingTrouble(facts, cluster);
  if (trouble !== undefined) return awaitArchiving(facts, met, trouble);
  const choice = chooseInstance(instances, {
    target: backup.spec?.target ?? met.view.spec.backup?.target ?? "prefer-standby",
    currentPrimary: cluster.currentPrimary,
  });
  if (choice.kind === "none") return pending(facts, troubledMs, choice);
  return startBackup(facts, choice.instance, met);
}

/** Nothing runs for this cluster, and no other one has been waiting for longer. */
function isNext({ backup, others, instances }: BackupFacts): boolean {
  if (others.some(({ status }) => isUnderWay(status))) return false;
  // Of a Backup that was deleted meanwhile, say: it cannot be stopped.
  const isBusy = instances.some(({ status }) =>
    status?.backups.some(({ id, state }) => state === "running" && id !== backup.uid),
  );
  return !isBusy && !others.some((other) => isWaiting(other) && isOlder(other, backup));
}

function isWaiting({ status, resource }: BackupView): boolean {
  const isGoing = resource.metadata.deletionTimestamp !== undefined;
  return !isGoing && !isFinished(status) && !isUnderWay(status) && status.phase !== backupPhases.invalid;
}

/** Creation times are whole seconds; of two in one second the name decides, the same for both. */
function isOlder(a: BackupView, b: BackupView): boolean {
  const [first, second] = [a.resource.metadata.creationTimestamp, b.resource.metadata.creationTimestamp];
  return first < second || (first === second && a.name < b.name);
}

function ownJob({ backup, instances }: BackupFacts) {
  for (const instance of instances) {
    const job = instance.status?.backups.find(({ id }) => id === backup.uid);
    if (job !== undefined) return { instance, state: job.state };
  }
  return undefined;
}

/** What the cluster's status says, or its primary if that is newer. A store that fails is left out of the backup, and no reason to have none. */
function archivingTrouble({ instances }: BackupFacts, cluster: BackupCluster): string | undefined {
  const primary = findPrimary(instances, cluster.currentPrimary);
  if (primary?.status !== undefined && isTakenBySomeStore(primary.status)) return undefined;
  return cluster.archivingTrouble ?? primary?.status?.archivingError?.message;
}

/** A backup without its WAL is worth nothing: it is not begun while no WAL gets archived, and given up in the end. */
function awaitArchiving(facts: BackupFacts, met: Met, trouble: string): BackupDecision {
  const waiting = waitingFor(facts, "archiving");
  const message = `WAL archiving is failing: ${trouble}`;
  if (waitedMs(facts, waiting) > archivingPatienceMs) {
    return failed(facts, message, failureEvents(message), { method: met.method });
  }
  const phase = met.method === "plugin" ? backupPhases.pending : backupPhases.walArchivingFailing;
  const isNews = facts.backup.status.waiting?.for !== "archiving";
  const reason = "WalArchivingFailing";
  return {
    ...pending(facts, troubledMs, undefined, { phase, waiting, error: message, method: met.method }),
    events: isNews ? [{ type: "Warning", reason, message }] : [],
  };
}

/** What is said when an instance did not take the request; whether that is for good, its error says. */
export function decideRefused(
  facts: BackupFacts,
  refusal: { readonly message: string; readonly isFinal: boolean },
): BackupDecision {
  if (!refusal.isFinal || !isUnderWay(facts.backup.status)) return lookAgain(facts, 5000);
  return failed(facts, refusal.message, failureEvents(refusal.message));
}
