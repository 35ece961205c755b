import {
  isPrimaryServer,
  isRunning,
  positionOf,
  type ClusterDecision,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import { spawnsOf, normal, type DecisionContext, specActions } from "./decision-parts.ts";
import { conditionOf } from "./standby-condition.ts";

/** How long a standby may take to replay the last WAL of a primary that was stopped for it. */
const switchoverPatienceMs = 60_000;

/**
 * Asked for: the primary is stopped cleanly, so that nothing is missing, then the other one is noted as the primary, and promoted
 * as such: another one asked for meanwhile could otherwise be promoted beside it.
 */
export function switchover({ facts, primary, decided }: DecisionContext): ClusterDecision | undefined {
  const target = facts.instances.find(({ name }) => name === decided.targetPrimary);
  if (target === undefined || target === primary) return undefined;
  // One that is only being made the primary is that first: stopped as a standby, it could not say where its WAL ended.
  if (isRunning(primary) && !isPrimaryServer(primary)) return undefined;
  const moving = {
    ...decided,
    phase: phases.switchover,
    phaseReason: `Switching over to ${target.name}`,
  };
  if (primary.isServerAlive) {
    // Not begun yet: nobody is to go without a primary for one that could not take over.
    const condition = conditionOf(target, primary);
    if (condition.kind !== "follows" && primary.spec?.wanted === "running") {
      return goBack(
        moving,
        primary,
        `${target.name} does not follow ${primary.name} (${condition.reason}), which stays the primary`,
      );
    }
    // A server whose process is gone is stopped by nobody else.
    const actions = [...specActions(facts, primary, primary, "stopped"), ...spawnsOf([primary, target])];
    return { ...moving, actions };
  }
  const hasAll = primary.shutDownAtLsn !== undefined && positionOf(target) > primary.shutDownAtLsn;
  if (!isRunning(target) || !hasAll) return waitOrGoBack(facts, moving, primary, target);
  return {
    ...moving,
    phaseReason: `Promoting ${target.name}`,
    currentPrimary: target.name,
    primaryDownSince: undefined,
    events: [normal("SwitchingOver", `${target.name} takes over from ${primary.name}`)],
  };
}

/**
 * The one that is to take over is not well, or has not replayed everything: it is given a while. Then the old primary goes
 * on, and nothing is lost.
 */
function waitOrGoBack(
  { now, remembered }: ClusterFacts,
  moving: ClusterDecision,
  primary: InstanceFacts,
  target: InstanceFacts,
): ClusterDecision {
  const since = remembered.primaryDownSince ?? now.toISOString();
  if (now.getTime() - Date.parse(since) < switchoverPatienceMs) {
    return { ...moving, primaryDownSince: since, actions: spawnsOf([primary, target]) };
  }
  return goBack(
    moving,
    primary,
    `${target.name} has not replayed all WAL of ${primary.name}, which goes on as the primary`,
  );
}

function goBack(moving: ClusterDecision, primary: InstanceFacts, message: string): ClusterDecision {
  return {
    ...moving,
    phaseReason: message,
    targetPrimary: primary.name,
    primaryDownSince: undefined,
    events: [{ type: "Warning", reason: "SwitchoverFailed", message }],
  };
}
