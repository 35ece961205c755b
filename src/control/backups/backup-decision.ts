import type { InstanceRequest } from "../../instance/instance-status.ts";
import type { Again } from "../loop/reconciler.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { BackupFacts } from "./backup-facts.ts";
import { backupPhases, isFinished, type BackupStatus } from "./backup-status.ts";

export interface BackupEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** What is next for a Backup. The status is written first, then the instances are told. */
export interface BackupDecision {
  readonly status: BackupStatus;
  readonly events: readonly BackupEvent[];
  /** To whom, and what. Each can be repeated. */
  readonly tell: readonly { readonly instance: string; readonly request: InstanceRequest }[];
  readonly again: Again;
}

type Waiting = NonNullable<BackupStatus["waiting"]>;

/** Nothing new but that it was looked at. */
export function lookAgain(facts: BackupFacts, afterMs: number, changes: BackupStatus = {}): BackupDecision {
  return {
    status: { ...facts.backup.status, ...changes },
    events: [],
    tell: [],
    again: { afterMs },
  };
}

/** It waits for its turn, or for something to appear. The event is given when what it waits for is new. */
export function pending(
  facts: BackupFacts,
  afterMs: number,
  why?: { readonly reason: string; readonly message: string },
  changes: BackupStatus = {},
): BackupDecision {
  const { status } = facts.backup;
  const news: readonly BackupEvent[] =
    why === undefined || why.message === status.error
      ? []
      : [{ type: "Warning", reason: why.reason, message: why.message }];
  return {
    status: {
      ...status,
      phase: backupPhases.pending,
      reconciliationStartedAt: status.reconciliationStartedAt ?? toTimestamp(facts.now),
      error: why?.message,
      waiting: undefined,
      ...changes,
    },
    events: news,
    tell: [],
    again: { afterMs },
  };
}

/** The end. `events` say why; the error is their last word. */
export function failed(
  facts: BackupFacts,
  error: string,
  events: readonly BackupEvent[],
  changes: BackupStatus = {},
): BackupDecision {
  const { status } = facts.backup;
  const now = toTimestamp(facts.now);
  return {
    status: {
      ...status,
      phase: backupPhases.failed,
      error,
      clusterUID: status.clusterUID ?? facts.cluster?.uid,
      reconciliationStartedAt: status.reconciliationStartedAt ?? now,
      reconciliationTerminatedAt: now,
      stoppedAt: now,
      progress: undefined,
      waiting: undefined,
      ...changes,
    },
    events,
    tell: [],
    again: "never",
  };
}

/** CloudNativePG's two events for a backup that ran and failed. */
export function failureEvents(error: string): readonly BackupEvent[] {
  return [
    { type: "Normal", reason: "Failed", message: "Backup failed" },
    { type: "Warning", reason: "Error", message: `Backup exit with error ${error}` },
  ];
}

/** Since when it has been waiting for this, that it may be given up in the end. */
export function waitingFor(facts: BackupFacts, what: Waiting["for"]): Waiting {
  const { waiting } = facts.backup.status;
  return waiting?.for === what ? waiting : { for: what, since: toTimestamp(facts.now) };
}

export function waitedMs(facts: BackupFacts, { since }: Waiting): number {
  return facts.now.getTime() - Date.parse(since);
}

/** Whether a decision ends the Backup. */
export function ends(decision: BackupDecision): boolean {
  return isFinished(decision.status);
}
