import type { BackupJob, InstanceStatus } from "../../instance/instance-status.ts";
import {
  failed,
  failureEvents,
  lookAgain,
  pending,
  waitedMs,
  waitingFor,
  type BackupDecision,
  type BackupEvent,
} from "./backup-decision.ts";
import type { BackupFacts } from "./backup-facts.ts";
import { backupPhases, type BackupStatus } from "./backup-status.ts";
import { completed } from "./completed-backup.ts";
import { followMs, sessionOf } from "./start-backup.ts";

/** An instance that is being restarted answers again within seconds. */
const unansweredPatienceMs = 2 * 60_000;
/** For a server that is being restarted to become what it shall be. */
const rolePatienceMs = 60_000;
/** A request shows in the instance's status after seconds; it is repeated then, and given up in the end. */
const jobShowsAfterMs = 5000;
const jobPatienceMs = 5 * 60_000;
const maxAttempts = 3;

/** One that an instance has been asked for: what its job says, or what became of the instance. */
export function followBackup(facts: BackupFacts): BackupDecision {
  const { backup, cluster, instances } = facts;
  const { status, uid } = backup;
  if (cluster === undefined || cluster.uid !== status.clusterUID) {
    return abandoned(facts, "Error", `cluster "${backup.clusterName}" was deleted during the backup`);
  }
  const name = status.instanceID?.podName ?? "";
  const instance = instances.find((candidate) => candidate.name === name);
  if (instance === undefined) return startAgain(facts, `instance "${name}" is gone`);
  if (instance.status === undefined) return unanswered(facts, name);
  const job = instance.status.backups.find(({ id }) => id === uid);
  if (job === undefined) {
    if (sessionOf(instance) !== status.instanceID?.sessionID) {
      return startAgain(facts, `instance "${name}" was restarted and knows nothing of the backup`);
    }
    return askAgain(facts, name);
  }
  if (job.state === "completed") return completed(facts, job);
  if (endedWithItsProcess(job, instance.status)) {
    return abandoned(facts, "InstanceManagerRestarted", `${interruption} ${name}`, job);
  }
  if (job.state === "failed") return jobFailed(facts, instance.status, job);
  return isGivenUp(instance.status)
    ? abandoned(facts, "TargetPodNotHealthy", unhealthy(name, instance.status), job)
    : underWay(facts, job);
}

function underWay(facts: BackupFacts, job: BackupJob): BackupDecision {
  const { status } = facts.backup;
  const isCopying = status.method !== "plugin" && job.phase !== "starting";
  return lookAgain(facts, followMs, {
    phase: isCopying ? backupPhases.running : backupPhases.started,
    backupId: job.backupId,
    progress: { doneBytes: job.doneBytes, totalBytes: job.totalBytes, phase: job.phase },
    waiting: undefined,
  });
}

/** It does not answer: busy, or dead and about to be started again, or down for longer. */
function unanswered(facts: BackupFacts, name: string): BackupDecision {
  const settings = facts.cluster?.settings;
  if (settings?.kind === "ok" && settings.value.view.isHibernated) {
    return abandoned(facts, "ClusterIsHibernated", "cannot backup a hibernated cluster");
  }
  const waiting = waitingFor(facts, "instance");
  if (waitedMs(facts, waiting) > unansweredPatienceMs) {
    return abandoned(facts, "TargetPodNotHealthy", `instance "${name}" does not answer`);
  }
  return lookAgain(facts, 5000, { waiting });
}

/** The request was lost, or it does not show yet; the same ID again begins nothing twice. */
function askAgain(facts: BackupFacts, name: string): BackupDecision {
  const { backup } = facts;
  const waiting = waitingFor(facts, "job");
  const waited = waitedMs(facts, waiting);
  if (waited < jobShowsAfterMs) return lookAgain(facts, followMs, { waiting });
  if (waited > jobPatienceMs) {
    const message = `instance "${name}" takes no notice of the backup`;
    return failed(facts, message, failureEvents(message));
  }
  const { backupName } = backup.status;
  const named = backupName === undefined ? {} : { name: backupName };
  return {
    ...lookAgain(facts, followMs, { waiting }),
    tell: [{ instance: name, request: { op: "backup", id: backup.uid, ...named } }],
  };
}

/**
 * By itself, or because its server was stopped or promoted under it: then it is started again where it belongs now. While
 * the server is down nobody knows which it is.
 */
function jobFailed(facts: BackupFacts, status: InstanceStatus, job: BackupJob): BackupDecision {
  const { backup, cluster } = facts;
  const { instanceRole, instanceID } = backup.status;
  const name = instanceID?.podName ?? "";
  const wasDemoted =
    instanceRole === "primary" && cluster?.currentPrimary !== undefined && cluster.currentPrimary !== name;
  const role = status.postgres?.role;
  if (wasDemoted || (role !== undefined && instanceRole !== undefined && role !== instanceRole)) {
    return startAgain(facts, `instance "${name}" is no ${instanceRole} any more`);
  }
  const waiting = waitingFor(facts, "role");
  if (role === undefined && waitedMs(facts, waiting) <= rolePatienceMs) {
    return lookAgain(facts, followMs, { waiting });
  }
  const message = job.error?.message ?? "it failed without saying why";
  return failed(facts, message, failureEvents(message), partsOf(job));
}

function startAgain(facts: BackupFacts, why: string): BackupDecision {
  const { status, uid } = facts.backup;
  if ((status.attempts ?? 0) >= maxAttempts) {
    const message = `${why}, and the backup was started ${maxAttempts} times`;
    return failed(facts, message, failureEvents(message));
  }
  const name = status.instanceID?.podName;
  return {
    ...pending(facts, 1000, undefined, {
      instanceID: undefined,
      instanceRole: undefined,
      startedAt: undefined,
      backupId: undefined,
      backupName: undefined,
      progress: undefined,
    }),
    events: [{ type: "Normal", reason: "ReStarting", message: `Restarting the backup: ${why}` }],
    tell:
      name === undefined || !facts.instances.some((instance) => instance.name === name)
        ? []
        : [{ instance: name, request: { op: "forget-backup", id: uid } }],
  };
}

/** Failed with CloudNativePG's reason as a warning. */
function abandoned(facts: BackupFacts, reason: string, message: string, job?: BackupJob): BackupDecision {
  const events: readonly BackupEvent[] = [
    { type: "Warning", reason, message },
    { type: "Normal", reason: "Failed", message: "Backup failed" },
  ];
  return failed(facts, message, events, job === undefined ? {} : partsOf(job));
}

function partsOf(job: BackupJob): BackupStatus {
  return job.backupId === undefined ? {} : { backupId: job.backupId };
}

/** What an instance's process says of a job that its own end has ended. */
const interruption = "instance manager was restarted during backup on instance";

/**
 * Its process is not the one that runs now. A job is kept in a file, which says nothing of a process that was killed: it may
 * still be called running, or have been called failed by the next process. One that failed before the restart failed by
 * itself, unless it was interrupted.
 */
function endedWithItsProcess(job: BackupJob, { startedAt }: InstanceStatus): boolean {
  if (job.error?.message.startsWith(interruption) === true) return true;
  const start = Date.parse(startedAt);
  if (Date.parse(job.startedAt) >= start) return false;
  return job.state === "running" || job.stoppedAt === undefined || Date.parse(job.stoppedAt) >= start;
}

function isGivenUp({ phase }: InstanceStatus): boolean {
  return phase === "failed" || phase === "stopped";
}

function unhealthy(name: string, { phase, error }: InstanceStatus): string {
  return `instance "${name}" is not healthy: ${error?.message ?? `it is ${phase}`}`;
}
