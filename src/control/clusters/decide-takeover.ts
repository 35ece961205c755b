import {
  isPrimaryServer,
  isRunning,
  type ClusterDecision,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import { standbysOf, lsnOf, spawnsOf, normal, type DecisionContext, specActions } from "./decision-parts.ts";

/** How long a primary may fail to start before a standby takes over. */
const failoverAfterMs = 30_000;

/** How long a standby may take to replay the last WAL of a primary that was stopped for it. */
const switchoverPatienceMs = 60_000;

/**
 * The primary cannot be brought up again, and a standby is there. Who takes over is noted before anything is final; then it is
 * made sure that the old one stays down, then that it cannot come back; only then is the noted one the primary, and promoted.
 * Whatever is lost between two steps, nobody else is ever chosen beside one that may have been promoted.
 */
export function failover({ facts, primary, isDown, decided }: DecisionContext): ClusterDecision | undefined {
  const { primaryDownSince } = decided;
  const candidates = standbysOf(facts, primary).filter(isRunning);
  const { remembered } = facts;
  // Stopped on purpose: it goes on by itself when the other one does not take over.
  if (remembered.phase === phases.switchover) return undefined;
  const isUnderWay = remembered.phase === phases.failingOver && remembered.currentPrimary === primary.name;
  if (!isUnderWay) {
    if (!isDown || primaryDownSince === undefined || candidates.length === 0) return undefined;
    if (facts.now.getTime() - Date.parse(primaryDownSince) < failoverAfterMs) return undefined;
  }
  const best = candidates.toSorted((a, b) => Number(lsnOf(b) - lsnOf(a)))[0];
  // It came back, or nobody is left who could take over.
  if (best === undefined || isRunning(primary)) return undefined;
  const failing = {
    ...decided,
    phase: phases.failingOver,
    phaseReason: `Failing over from ${primary.name} to ${best.name}`,
    targetPrimary: best.name,
  };
  if (primary.isServerAlive || primary.isProcessAlive) {
    return { ...failing, actions: [{ kind: "kill", name: primary.name }] };
  }
  if (!isUnderWay || remembered.targetPrimary !== best.name) return failing;
  return {
    ...failing,
    actions: [{ kind: "remove", name: primary.name, keepAside: true }],
    events: [
      {
        type: "Warning",
        reason: "FailingOver",
        message: `Primary ${primary.name} does not start any more: ${best.name} takes over; the data of ${primary.name} are kept aside`,
      },
    ],
  };
}

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
    if (!isRunning(target) && primary.spec?.wanted === "running") {
      return goBack(
        moving,
        primary,
        `${target.name} does not run any more: ${primary.name} stays the primary`,
      );
    }
    // A server whose process is gone is stopped by nobody else.
    const actions = [...specActions(facts, primary, primary, "stopped"), ...spawnsOf([primary, target])];
    return { ...moving, actions };
  }
  const hasAll = primary.shutDownAtLsn !== undefined && lsnOf(target) > primary.shutDownAtLsn;
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
