import type { InstanceSpec } from "../../instance/instance-spec.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import {
  isPrimaryServer,
  isRunning,
  isUnmade,
  type ClusterAction,
  type ClusterDecision,
  type ClusterEvent,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { describeFailure } from "./describe-failure.ts";
import { phases } from "./cluster-status.ts";
import { majorOfImage } from "./server-parameters.ts";
import {
  differs,
  isSameBootstrap,
  wantedSpec,
  withoutStatements,
  type InstanceRole,
  type WantedSpec,
} from "./instance-specs.ts";

/** How long a primary may fail to start before a standby takes over. */
const failoverAfterMs = 30_000;
/** How long a standby may take to replay the last WAL of a primary that was stopped for it. */
const switchoverPatienceMs = 60_000;
const settledMs = 10_000;
const busyMs = 1000;

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
  const context: Context = { facts, primary, isDown, decided: { ...decided, primaryDownSince: downSince } };
  return failover(context) ?? switchover(context) ?? converge(context);
}

interface Context {
  readonly facts: ClusterFacts;
  readonly primary: InstanceFacts;
  /** It has failed or is gone, and is not being started just now. */
  readonly isDown: boolean;
  readonly decided: ClusterDecision;
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

/**
 * The primary cannot be brought up again, and a standby is there. Who takes over is noted before anything is final; then it is
 * made sure that the old one stays down, then that it cannot come back; only then is the noted one the primary, and promoted.
 * Whatever is lost between two steps, nobody else is ever chosen beside one that may have been promoted.
 */
function failover({ facts, primary, isDown, decided }: Context): ClusterDecision | undefined {
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
function switchover({ facts, primary, decided }: Context): ClusterDecision | undefined {
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

/** Nothing out of the ordinary: specifications, processes, restarts, number of instances. */
function converge(context: Context): ClusterDecision {
  const { facts, primary, decided } = context;
  const { instances } = facts;
  const moves = instances.filter(hasLostItsPort).map(({ name }): ClusterAction => ({ kind: "move", name }));
  if (moves.length > 0) return { ...decided, ...stateOf(context), actions: moves };
  const specs = instances.flatMap((instance) => specActions(facts, instance, primary, "running"));
  const spawns = spawnsOf(instances);
  const promotion: ClusterAction[] =
    isRunning(primary) && !isPrimaryServer(primary) && facts.remembered.currentPrimary === primary.name
      ? [{ kind: "ask", name: primary.name, request: { op: "promote" } }]
      : [];
  const actions = [...specs, ...spawns, ...promotion];
  const state = stateOf(context);
  // Before anything is asked of the others: one too many that does not run may be what keeps them waiting.
  const broken = standbysOf(facts, primary).findLast((instance) => !isRunning(instance));
  if (instances.length > facts.view.instances && broken !== undefined && isRunning(primary)) {
    return { ...decided, ...state, ...removal(broken) };
  }
  if (actions.length > 0) return { ...decided, ...state, actions };
  if (!instances.every(isRunning)) return { ...decided, ...state };
  return (
    restartOne(context) ??
    scale(context) ?? {
      ...decided,
      phase: phases.healthy,
      phaseReason: problemsOf(context),
      afterMs: settledMs,
    }
  );
}

/**
 * Another program listens on its port since it was chosen: the server's own words say so (pqcomm.c, postmaster.c). Not while a
 * changed specification is still to be followed.
 */
function hasLostItsPort({ spec, status }: InstanceFacts): boolean {
  if (status?.phase !== "failed" || status.specVersion !== spec?.version) return false;
  return /Address already in use|could not create any TCP\/IP sockets/.test(status.error?.message ?? "");
}

/** What the manifest wants and cannot get: a store that has gone, another major. It goes on with what it has, and says so. */
function problemsOf({ facts: { archive, view }, primary }: Context): string | undefined {
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

function stateOf({ facts, primary }: Context): Pick<ClusterDecision, "phase" | "phaseReason"> {
  const waiting = facts.instances.find((instance) => !isRunning(instance));
  if (waiting === undefined) return { phase: phases.waitingForInstances, phaseReason: undefined };
  const { status } = waiting;
  const why = status?.error === undefined ? status?.activity : describeFailure(status.error);
  const isNew = status?.bootstrapped !== true;
  if (waiting === primary) {
    const wasReady = facts.remembered.systemId !== undefined;
    return { phase: wasReady ? phases.waitingForInstances : phases.settingUpPrimary, phaseReason: why };
  }
  return { phase: isNew ? phases.creatingReplica : phases.waitingForInstances, phaseReason: why };
}

/** Parameters that need a restart: standbys first, since they must not have less than their primary for long. */
function restartOne({ facts, primary, decided }: Context): ClusterDecision | undefined {
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

function scale({ facts, primary, decided }: Context): ClusterDecision | undefined {
  const { instances, view } = facts;
  if (instances.length > view.instances) {
    const last = standbysOf(facts, primary).at(-1);
    if (last === undefined) return undefined;
    return { ...decided, ...removal(last) };
  }
  const { spec } = primary;
  if (instances.length >= view.instances || spec === undefined) return undefined;
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
        bootstrap: { kind: "clone", host, port, dataDirectory: primary.dataDirectory },
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

/** Its specification written anew where it differs from what it should be. */
function specActions(
  facts: ClusterFacts,
  instance: InstanceFacts,
  primary: InstanceFacts,
  wanted: InstanceSpec["wanted"],
): ClusterAction[] {
  const { spec: present } = instance;
  if (present === undefined) return [];
  const { archive, view } = facts;
  const anew = instance === primary ? bootstrapAnew(facts, instance) : undefined;
  const next: WantedSpec = wantedSpec(view, {
    place: present,
    role: roleOf(instance, primary) ?? present.role,
    bootstrap:
      anew?.bootstrap ??
      (instance.status?.bootstrapped === true ? withoutStatements(present.bootstrap) : present.bootstrap),
    major: anew?.major ?? present.major,
    binDirectory: present.binDirectory,
    archive: archive.kind === "ok" ? archive.value : undefined,
    wanted,
  });
  const spec =
    archive.kind === "missing" && present.archive !== undefined
      ? { ...next, archive: present.archive }
      : next;
  if (!differs(spec, present) && (anew === undefined || isSameBootstrap(spec, present))) return [];
  return [{ kind: "write-spec", name: instance.name, spec, version: present.version + 1 }];
}

/** A target that cannot be reached, a store that was not there: what was corrected in the manifest since is tried. */
function bootstrapAnew(
  { bootstrap, remembered, view }: ClusterFacts,
  instance: InstanceFacts,
): { readonly bootstrap: WantedSpec["bootstrap"]; readonly major?: number } | undefined {
  if (remembered.systemId !== undefined || !isUnmade(instance) || bootstrap.kind !== "ok") return undefined;
  const { bootstrap: wanted, major } = bootstrap.value;
  // The newest that is installed may be another one by now; only who names one wants another.
  return view.spec.imageName === undefined ? { bootstrap: wanted } : { bootstrap: wanted, major };
}

function roleOf(instance: InstanceFacts, primary: InstanceFacts): InstanceRole | undefined {
  if (instance === primary) return { kind: "primary" };
  if (primary.spec === undefined) return undefined;
  return { kind: "standby", host: primary.spec.socketDirectory, port: primary.spec.port };
}

function standbysOf({ instances }: ClusterFacts, primary: InstanceFacts): readonly InstanceFacts[] {
  return instances.filter((instance) => instance !== primary);
}

function lsnOf({ status }: InstanceFacts): bigint {
  return parseLsn(status?.postgres?.lsn ?? "0/0");
}

/** Of those whose process is gone. */
function spawnsOf(instances: readonly InstanceFacts[]): ClusterAction[] {
  return instances
    .filter(({ isProcessAlive }) => !isProcessAlive)
    .map(({ name }) => ({ kind: "spawn", name }));
}

function normal(reason: string, message: string): ClusterEvent {
  return { type: "Normal", reason, message };
}
