import {
  isPrimaryServer,
  isRunning,
  receivedOf,
  type ClusterDecision,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import { converge } from "./decide-convergence.ts";
import { standbysOf, type DecisionContext } from "./decision-parts.ts";
import { rescueStep } from "./rescue-step.ts";
import { conditionOf } from "./standby-condition.ts";

/**
 * The primary cannot be brought up again, and a standby is there. Who takes over is noted before anything is final; then it is
 * made sure that the old one stays down; then the noted one gets what the old one had written and not sent; then it is made sure
 * that the old one cannot come back; only then is the noted one the primary, and promoted. Whatever is lost between two steps,
 * nobody else is ever chosen beside one that may have been promoted.
 */
export function failover(context: DecisionContext): ClusterDecision | undefined {
  const { facts, primary, isDown, decided } = context;
  const { primaryDownSince } = decided;
  const { remembered, view } = facts;
  // Stopped on purpose: it goes on by itself when the other one does not take over.
  if (remembered.phase === phases.switchover) return undefined;
  const isUnderWay = remembered.phase === phases.failingOver && remembered.currentPrimary === primary.name;
  const candidates = candidatesFor(context);
  if (!isUnderWay) {
    if (!isDown || primaryDownSince === undefined || candidates.length === 0) return undefined;
    if (facts.now.getTime() - Date.parse(primaryDownSince) < view.failoverAfterMs) return undefined;
  }
  // One that has been noted may have got what the old primary had: that is not done for another one without need.
  const noted = isUnderWay ? candidates.find(({ name }) => name === remembered.targetPrimary) : undefined;
  const best = noted ?? candidates[0];
  if (best === undefined || isRunning(primary)) return isUnderWay ? giveUp(context) : undefined;
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
  const step = rescueStep(context, best);
  if (step.kind === "wait") {
    const { phaseReason, takeover, actions } = step;
    return { ...failing, phaseReason, takeover, actions };
  }
  return {
    ...failing,
    actions: [{ kind: "remove", name: primary.name, keepAside: true }],
    events: [
      {
        type: "Warning",
        reason: "FailingOver",
        message: `Primary ${primary.name} does not start any more: ${best.name} takes over; the data of ${primary.name} are kept aside. ${step.outcome}`,
      },
    ],
  };
}

/**
 * It came back, or nobody is left who could take over just now. Nobody is noted any more: that would be a switchover. What was collected
 * is out of date as soon as the old primary has run again, so the next failover is another one.
 */
function giveUp(context: DecisionContext): ClusterDecision {
  const { facts, primary, isDown, decided } = context;
  const primaryDownSince = isDown ? facts.now.toISOString() : undefined;
  return converge({ ...context, decided: { ...decided, targetPrimary: primary.name, primaryDownSince } });
}

/**
 * Standbys that could take over, the best first: on the newest timeline, then with the most WAL, replayed or not. One that went its
 * own way, or whose data are damaged, is none: to promote it would be to lose what the primary had acknowledged since.
 */
function candidatesFor({ facts, primary }: DecisionContext): readonly InstanceFacts[] {
  return standbysOf(facts, primary)
    .filter((standby) => isRunning(standby) && !isPrimaryServer(standby))
    .filter((standby) => {
      const condition = conditionOf(standby, primary);
      return condition.kind !== "lost" || condition.cause === "wal-removed";
    })
    .toSorted((a, b) => timelineOf(b) - timelineOf(a) || Number(receivedOf(b) - receivedOf(a)));
}

function timelineOf({ status }: InstanceFacts): number {
  return status?.postgres?.timeline ?? 0;
}
