import {
  isPrimaryServer,
  type ClusterDecision,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import { busyMs, settledMs, specActions, normal, type DecisionContext, spawnsOf } from "./decision-parts.ts";
import { failover } from "./decide-failover.ts";
import { switchover } from "./decide-switchover.ts";
import { lostStandbys } from "./lost-standbys.ts";
import { converge } from "./decide-convergence.ts";

/** What is next for a cluster: from facts alone, one small step at a time. */
export function decideCluster(facts: ClusterFacts): ClusterDecision {
  const { remembered, instances, view } = facts;
  const base: ClusterDecision = {
    actions: [],
    events: [],
    phase: remembered.phase ?? phases.settingUpPrimary,
    phaseReason: undefined,
    currentPrimary: remembered.currentPrimary,
    targetPrimary: remembered.targetPrimary,
    latestGeneratedNode: Math.max(remembered.latestGeneratedNode, ...instances.map(({ number }) => number)),
    primaryDownSince: undefined,
    takeover: undefined,
    lostStandbys: [],
    remakes: remembered.remakes,
    afterMs: busyMs,
  };
  if (instances.length === 0) return begin(facts, base);
  const primary = primaryOf(facts);
  // One that is gone cannot take over any more.
  const target = instances.find(({ name }) => name === remembered.targetPrimary) ?? primary;
  const decided = { ...base, currentPrimary: primary.name, targetPrimary: target.name };
  if (view.isHibernated) return hibernate(facts, decided, primary);
  // One that has never been up is being made; it has nothing that a standby could have.
  const wasUp = remembered.systemId !== undefined;
  const isLost = primary.status === undefined && !primary.isServerAlive;
  const isDown = wasUp && (primary.status?.phase === "failed" || isLost);
  // Between two failures it is being started again, which is neither good nor bad news.
  const isStarting = primary.status?.phase === "starting";
  const downSince = isDown
    ? (remembered.primaryDownSince ?? facts.now.toISOString())
    : isStarting
      ? remembered.primaryDownSince
      : undefined;
  const context: DecisionContext = {
    facts,
    primary,
    isDown,
    decided: {
      ...decided,
      primaryDownSince: downSince,
      lostStandbys: lostStandbys(facts, primary),
    },
  };
  return failover(context) ?? switchover(context) ?? converge(context);
}

/** The first instance, as soon as all that it needs is there. */
function begin({ archive, bootstrap, view }: ClusterFacts, base: ClusterDecision): ClusterDecision {
  const { currentPrimary: _none, ...rest } = base;
  const empty = { ...rest, currentPrimary: undefined, targetPrimary: undefined };
  if (view.isHibernated) return { ...empty, phase: phases.hibernated, afterMs: settledMs };
  if (archive.kind === "missing") return cannotCreate(empty, archive.problems);
  if (bootstrap.kind === "missing") return cannotCreate(empty, bootstrap.problems);
  if (bootstrap.kind === "waiting") {
    return { ...empty, phase: phases.settingUpPrimary, phaseReason: bootstrap.reason, afterMs: settledMs };
  }
  const name = `${view.name}-${base.latestGeneratedNode + 1}`;
  return {
    ...empty,
    phase: phases.settingUpPrimary,
    phaseReason: "Creating primary instance",
    currentPrimary: name,
    targetPrimary: name,
    latestGeneratedNode: base.latestGeneratedNode + 1,
    actions: [{ kind: "create", name, role: { kind: "primary" }, ...bootstrap.value }],
    events: [normal("CreatingInstance", `Primary instance (${bootstrap.value.bootstrap.kind})`)],
  };
}

function cannotCreate(base: ClusterDecision, problems: readonly string[]): ClusterDecision {
  const phaseReason = problems.join("; ");
  return {
    ...base,
    phase: phases.cannotCreate,
    phaseReason,
    events: [{ type: "Warning", reason: "CannotCreate", message: phaseReason }],
    afterMs: settledMs,
  };
}

/** By what was decided before; else by what the servers are; else by what they were made to be. */
function primaryOf({ remembered, instances }: ClusterFacts): InstanceFacts {
  const [first] = instances;
  const found =
    instances.find(({ name }) => name === remembered.currentPrimary) ??
    // The one before was given up for it: whoever is noted here is the only one that may have been promoted.
    instances.find(({ name }) => name === remembered.targetPrimary) ??
    instances.find(isPrimaryServer) ??
    instances.find(({ spec }) => spec?.role.kind === "primary") ??
    first;
  if (found === undefined) throw new TypeError("a cluster without instances has no primary");
  return found;
}

function hibernate(facts: ClusterFacts, decided: ClusterDecision, primary: InstanceFacts): ClusterDecision {
  const specs = facts.instances.flatMap((instance) => specActions(facts, instance, primary, "stopped"));
  const alive = facts.instances.filter(({ isServerAlive }) => isServerAlive);
  return {
    ...decided,
    // A server whose process is gone is stopped by nobody else.
    actions: [...specs, ...spawnsOf(alive)],
    phase: phases.hibernated,
    phaseReason: alive.length === 0 ? undefined : `Stopping ${alive.map(({ name }) => name).join(", ")}`,
    afterMs: alive.length === 0 ? settledMs : busyMs,
  };
}
