import { formatBytes } from "../../common/units.ts";
import type { StandbyTrouble } from "../../instance/instance-status.ts";
import type { Lsn } from "../../postgres/lsn.ts";
import { historyContains, switchPointOf, type TimelineHistory } from "../../postgres/timeline-history.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { isPrimaryServer, isRunning, positionOf, type InstanceFacts } from "./cluster-facts.ts";
import { describeFailure } from "./describe-failure.ts";

/** How a standby stands to its primary: from what both servers say, never from how long something takes. */
export type StandbyCondition =
  /** It streams; or there is no primary to follow just now. */
  | { readonly kind: "follows" }
  /** Not now, and that may pass. */
  | { readonly kind: "behind"; readonly reason: string }
  /** It does not pass by itself, unless the archive brings what is missing. */
  | {
      readonly kind: "lost";
      readonly cause: Exclude<StandbyTrouble["kind"], "other">;
      readonly reason: string;
    };

export function conditionOf(standby: InstanceFacts, primary: InstanceFacts): StandbyCondition {
  const { status } = standby;
  if (status === undefined) return behind("its process does not answer");
  const { trouble, error, activity, phase, postgres } = status;
  if (trouble !== undefined && trouble.kind !== "other") {
    return { kind: "lost", cause: trouble.kind, reason: trouble.message };
  }
  if (!isRunning(standby) || postgres === undefined) {
    return behind(error === undefined ? (activity ?? `it is ${phase}`) : describeFailure(error));
  }
  const hasPrimary = isRunning(primary) && isPrimaryServer(primary);
  if (isPrimaryServer(standby)) return hasPrimary ? besides(standby) : behind("its server is a primary");
  if (streams(standby)) return { kind: "follows" };
  if (!hasPrimary) return { kind: "follows" };
  // Its primary is on this machine: what the archive brings meanwhile is never all, and does not stay without a reason.
  const lagBytes = Number(positionOf(primary) - positionOf(standby));
  const rest = lagBytes > 0 ? `, and has ${formatBytes(lagBytes)} still to replay` : "";
  if (trouble !== undefined) {
    return hasHistoryOf(standby, primary.history) === false
      ? { kind: "lost", cause: "diverged", reason: trouble.message }
      : behind(`${trouble.message}${rest}`);
  }
  return behind(`it does not stream yet${rest}`);
}

/** A second server that takes writes: it is to be a standby, was told so, and somebody has promoted it all the same. */
function besides({ spec, status }: InstanceFacts): StandbyCondition {
  const reason = "its server takes writes beside the primary";
  const isTold = spec?.role.kind === "standby" && status?.specVersion === spec.version;
  return isTold ? { kind: "lost", cause: "diverged", reason } : behind(reason);
}

/** Whether an instance does its part: a primary that takes writes, or a standby that follows it. */
export function isReady(instance: InstanceFacts, primary: InstanceFacts | undefined): boolean {
  if (primary === undefined) return false;
  return instance.name === primary.name
    ? isRunning(instance) && isPrimaryServer(instance)
    : conditionOf(instance, primary).kind === "follows";
}

export function streams({ status }: Pick<InstanceFacts, "status">): boolean {
  return status?.postgres?.replication.some(({ state }) => state === "streaming") === true;
}

/** Whether all that a standby has replayed is in its primary's history too; undefined where nobody can tell. */
export function hasHistoryOf(
  { status }: InstanceFacts,
  history: TimelineHistory | undefined,
): boolean | undefined {
  const { postgres } = status ?? {};
  if (postgres === undefined || history === undefined) return undefined;
  return isOnHistory(history, postgres.timeline, positionOf({ status }));
}

function isOnHistory(history: TimelineHistory, timeline: number, position: Lsn): boolean {
  const own = timelineId(timeline);
  if (!historyContains(history, own)) return false;
  const end = switchPointOf(history, own);
  return end === undefined || position <= end;
}

function behind(reason: string): StandbyCondition {
  return { kind: "behind", reason };
}
