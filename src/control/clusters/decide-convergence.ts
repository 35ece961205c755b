import {
  isPrimaryServer,
  isRunning,
  isUnmade,
  type ClusterAction,
  type ClusterDecision,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { majorOfImage } from "../../manifest/image-major.ts";
import { phases } from "./cluster-status.ts";
import { describeFailure } from "./describe-failure.ts";
import { isPortTaken } from "./port-taken.ts";
import {
  settledMs,
  specActions,
  standbysOf,
  spawnsOf,
  cloneOf,
  normal,
  type DecisionContext,
} from "./decision-parts.ts";
import { remakeStandby } from "./lost-standbys.ts";
import { conditionOf, isReady } from "./standby-condition.ts";

/** Nothing out of the ordinary: specifications, processes, restarts, number of instances. */
export function converge(context: DecisionContext): ClusterDecision {
  const { facts, primary, decided } = context;
  const { instances } = facts;
  const moves = instances.filter(hasLostItsPort).map(({ name }): ClusterAction => ({ kind: "move", name }));
  if (moves.length > 0) return { ...decided, ...stateOf(context), actions: moves };
  const remade = remakeStandby(context);
  if (remade !== undefined) return remade;
  const specs = instances.flatMap((instance) => specActions(facts, instance, primary, "running"));
  const spawns = spawnsOf(instances);
  const promotion: ClusterAction[] =
    isRunning(primary) && !isPrimaryServer(primary) && facts.remembered.currentPrimary === primary.name
      ? [{ kind: "ask", name: primary.name, request: { op: "promote" } }]
      : [];
  const actions = [...specs, ...spawns, ...promotion];
  const state = stateOf(context);
  // Before anything is asked of the others: one too many that does not run may be what keeps them waiting.
  const broken =
    standbysOf(facts, primary).findLast((instance) => !isRunning(instance)) ??
    standbysOf(facts, primary).findLast((instance) => conditionOf(instance, primary).kind === "lost");
  if (instances.length > facts.view.instances && broken !== undefined && isRunning(primary)) {
    return { ...decided, ...state, ...removal(broken) };
  }
  if (actions.length > 0) return { ...decided, ...state, actions };
  if (!instances.every(isRunning)) return { ...decided, ...state };
  const restart = restartOne(context);
  if (restart !== undefined) return restart;
  if (!instances.every((instance) => isReady(instance, primary))) return { ...decided, ...state };
  return (
    scale(context) ?? {
      ...decided,
      phase: phases.healthy,
      phaseReason: problemsOf(context),
      remakes: 0,
      afterMs: settledMs,
    }
  );
}

/** Not while a changed specification is still to be followed. */
function hasLostItsPort({ spec, status }: InstanceFacts): boolean {
  if (status?.phase !== "failed" || status.specVersion !== spec?.version) return false;
  return isPortTaken(status.error?.message ?? "");
}

/** What the manifest wants and cannot get: a store that has gone, another major. It goes on with what it has, and says so. */
function problemsOf({ facts: { archive, view }, primary }: DecisionContext): string | undefined {
  const { imageName } = view.spec;
  const wanted = imageName === undefined ? undefined : majorOfImage(imageName);
  const major = primary.spec?.major;
  const problems = [
    ...(archive.kind === "missing" ? archive.problems : []),
    ...(wanted === undefined || major === undefined || wanted === major
      ? []
      : [
          `imageName wants PostgreSQL ${wanted}, and the data are of ${major}: a major upgrade is not done; dump it into a new cluster`,
        ]),
  ];
  return problems.length === 0 ? undefined : problems.join("; ");
}

function stateOf(context: DecisionContext): Pick<ClusterDecision, "phase" | "phaseReason"> {
  const { facts, primary } = context;
  const all = [primary, ...standbysOf(facts, primary)];
  const waiting = all.find((instance) => !isReady(instance, primary));
  if (waiting === undefined) return { phase: phases.waitingForInstances, phaseReason: undefined };
  const { status } = waiting;
  if (waiting === primary) {
    const why =
      hindranceOf(facts, waiting) ??
      (status?.error === undefined ? status?.activity : describeFailure(status.error));
    const wasReady = facts.remembered.systemId !== undefined;
    return {
      phase: wasReady ? phases.waitingForInstances : phases.settingUpPrimary,
      phaseReason:
        [why, whyNobodyTakesOver(context)].filter((text) => text !== undefined).join("; ") || undefined,
    };
  }
  const condition = conditionOf(waiting, primary);
  const isNew = status?.bootstrapped !== true && condition.kind !== "lost";
  return {
    phase: isNew ? phases.creatingReplica : phases.waitingForInstances,
    phaseReason: condition.kind === "follows" ? undefined : `${waiting.name}: ${condition.reason}`,
  };
}

/** Of a primary that is down while there are standbys. */
function whyNobodyTakesOver({ facts, primary, isDown }: DecisionContext): string | undefined {
  const standbys = standbysOf(facts, primary);
  const reasons = standbys.flatMap((standby) => {
    const condition = conditionOf(standby, primary);
    return condition.kind === "follows" ? [] : [`${standby.name} (${condition.reason})`];
  });
  if (!isDown || reasons.length === 0 || reasons.length < standbys.length) return undefined;
  return `no standby can take over: ${reasons.join(", ")}`;
}

/** Why a bootstrap that has failed is not tried anew as the manifest says now: what it needs is not there, or not any more. */
function hindranceOf(
  { bootstrap, remembered }: DecisionContext["facts"],
  instance: InstanceFacts,
): string | undefined {
  if (remembered.systemId !== undefined || !isUnmade(instance) || bootstrap.kind === "ok") return undefined;
  return bootstrap.kind === "missing" ? bootstrap.problems.join("; ") : bootstrap.reason;
}

/** Parameters that need a restart: standbys first, since they must not have less than their primary for long. */
function restartOne({ facts, primary, decided }: DecisionContext): ClusterDecision | undefined {
  const pending = facts.instances.filter(({ status }) => status?.postgres?.pendingRestart === true);
  const next = pending.find((instance) => instance !== primary) ?? pending[0];
  if (next === undefined) return undefined;
  return {
    ...decided,
    phase: next === primary ? phases.restartingPrimary : phases.applyingConfiguration,
    phaseReason: `Restarting ${next.name}`,
    actions: [{ kind: "ask", name: next.name, request: { op: "restart" } }],
    events: [normal("RestartingInstance", `${next.name} is restarted: parameters have changed that need it`)],
  };
}

function scale({ facts, primary, decided }: DecisionContext): ClusterDecision | undefined {
  const { instances, view } = facts;
  if (instances.length > view.instances) {
    const last = standbysOf(facts, primary).at(-1);
    if (last === undefined) return undefined;
    return { ...decided, ...removal(last) };
  }
  const { spec } = primary;
  const bootstrap = cloneOf(primary);
  if (instances.length >= view.instances || spec === undefined || bootstrap === undefined) return undefined;
  const number = decided.latestGeneratedNode + 1;
  const name = `${view.name}-${number}`;
  const { socketDirectory: host, port } = spec;
  return {
    ...decided,
    phase: phases.creatingReplica,
    phaseReason: `Creating replica ${name}`,
    latestGeneratedNode: number,
    actions: [
      {
        kind: "create",
        name,
        role: { kind: "standby", host, port },
        bootstrap,
        major: spec.major,
        binDirectory: spec.binDirectory,
      },
    ],
    events: [normal("CreatingInstance", `Replica instance ${name}`)],
  };
}

function removal({ name }: InstanceFacts): Pick<ClusterDecision, "actions" | "events"> {
  return {
    actions: [{ kind: "remove", name, keepAside: false }],
    events: [normal("ScalingDown", `Removing instance ${name}`)],
  };
}
