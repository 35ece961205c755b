import type { InstanceStatus } from "../../instance/instance-status.ts";
import type { BackupInstance } from "./backup-facts.ts";

/** An instance whose server takes connections. */
export interface ReadyInstance {
  readonly name: string;
  readonly status: InstanceStatus & { readonly postgres: NonNullable<InstanceStatus["postgres"]> };
}

export type InstanceChoice =
  | { readonly kind: "chosen"; readonly instance: ReadyInstance }
  | { readonly kind: "none"; readonly reason: "FindingPod" | "BackupPending"; readonly message: string };

/**
 * Which instance takes a backup: with `prefer-standby` the first standby that streams, else the primary. (A standby that
 * does not stream may be far behind, and the backup would begin there. So it would at a restart point before a promotion, and
 * a backup across two timelines is none.)
 */
export function chooseInstance(
  instances: readonly BackupInstance[],
  { target, currentPrimary }: { readonly target: string; readonly currentPrimary: string | undefined },
): InstanceChoice {
  const standby = target === "primary" ? undefined : instances.filter(isReady).find(isStreamingStandby);
  if (standby !== undefined) return { kind: "chosen", instance: standby };
  const primary = findPrimary(instances, currentPrimary);
  if (primary === undefined) {
    return {
      kind: "none",
      reason: "FindingPod",
      message: `there is no primary${currentPrimary === undefined ? "" : ` "${currentPrimary}"`} to take the backup from; it is looked for again in 30 seconds`,
    };
  }
  if (isReady(primary) && primary.status.postgres.role === "primary") {
    return { kind: "chosen", instance: primary };
  }
  return {
    kind: "none",
    reason: "BackupPending",
    message: `instance "${primary.name}" is not ready: ${stateOf(primary)}`,
  };
}

/** The one that the cluster says it is; else the server that is one, on the newest timeline. */
export function findPrimary(
  instances: readonly BackupInstance[],
  currentPrimary: string | undefined,
): BackupInstance | undefined {
  const named = instances.find(({ name }) => name === currentPrimary);
  if (named !== undefined || currentPrimary !== undefined) return named;
  return instances
    .filter(({ status }) => status?.postgres?.role === "primary")
    .toSorted((a, b) => timelineOf(b) - timelineOf(a))[0];
}

export function isReady(instance: BackupInstance): instance is ReadyInstance {
  return instance.status?.phase === "running" && instance.status.postgres !== undefined;
}

function isStreamingStandby({ status: { postgres } }: ReadyInstance): boolean {
  const { role, replication, timeline, checkpointTimeline = timeline } = postgres;
  return (
    role === "standby" &&
    checkpointTimeline === timeline &&
    replication.some(({ state }) => state === "streaming")
  );
}

function timelineOf({ status }: BackupInstance): number {
  return status?.postgres?.timeline ?? 0;
}

function stateOf({ status }: BackupInstance): string {
  if (status === undefined) return "it does not answer";
  if (status.error !== undefined) return status.error.message;
  return status.phase === "running" ? "its server is no primary" : `it is ${status.phase}`;
}
