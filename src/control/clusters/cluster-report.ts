import type { InstanceStatus } from "../../instance/instance-status.ts";
import { condition, withCondition, type Condition } from "../resources/conditions.ts";
import { archivingTrouble, failingStores } from "./archiving-trouble.ts";
import type { AsideEntry } from "./aside-folders.ts";
import { isRunning, type ClusterDecision, type InstanceFacts } from "./cluster-facts.ts";
import { keptUntil } from "./decide-aside.ts";
import { conditionOf, isReady, streams } from "./standby-condition.ts";
import { describeFailure } from "./describe-failure.ts";
import type { RememberedStatus } from "./cluster-status.ts";
import type { ClusterView } from "./cluster-view.ts";
import { storageCondition, storageOf } from "./storage-report.ts";
import { storeReport } from "../store-report.ts";

/** What is said of a cluster's backups: from its Backups and from what its repositories hold. */
export interface BackupReport {
  /** Fields of the status, with CloudNativePG's names. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What each repository can restore; undefined before they were read. */
  readonly stores?: readonly { readonly name: string }[];
  readonly lastBackup: Omit<Condition, "lastTransitionTime"> | undefined;
}

export interface ReportFacts {
  readonly view: ClusterView;
  readonly remembered: RememberedStatus;
  readonly decision: ClusterDecision;
  readonly instances: readonly InstanceFacts[];
  readonly backups: BackupReport;
  /** What was put aside. */
  readonly aside: readonly AsideEntry[];
  readonly applicationSecret: string | undefined;
  readonly now: Date;
}

/** The status of a Cluster, whole, with CloudNativePG's fields (spec: section 7). */
export function clusterStatus(given: ReportFacts): Record<string, unknown> {
  const { view, remembered, decision, instances, backups } = given;
  const primary = instances.find(({ name }) => name === decision.currentPrimary);
  const postgres = primary?.status?.postgres;
  const systemId = postgres?.systemIdentifier ?? remembered.systemId;
  return {
    phase: decision.phase,
    ...optional("phaseReason", decision.phaseReason),
    instances: instances.length,
    readyInstances: instances.filter((instance) => isReady(instance, primary)).length,
    instancesStatus: instancesStatus(instances, primary),
    instanceNames: instances.map(({ name }) => name),
    latestGeneratedNode: decision.latestGeneratedNode,
    ...optional("currentPrimary", decision.currentPrimary),
    ...optional("targetPrimary", decision.targetPrimary),
    ...optional("timelineID", postgres?.timeline),
    ...optional("systemID", systemId),
    ...backups.fields,
    conditions: conditionsOf(given, primary),
    tidemark: {
      ...optional("primaryDownSince", decision.primaryDownSince),
      ...optional("primaryLsn", postgres?.lsn ?? remembered.primaryLsn),
      ...optional("takeover", decision.takeover),
      ...(decision.lostStandbys.length === 0 ? {} : { lostStandbys: decision.lostStandbys }),
      ...(decision.remakes === 0 ? {} : { remakes: decision.remakes }),
      ...optional("applicationSecret", given.applicationSecret),
      ...(primary?.spec === undefined
        ? {}
        : {
            primary: {
              host: "localhost",
              port: primary.spec.port,
              socketDirectory: primary.spec.socketDirectory,
            },
          }),
      instances: instances.map((instance) => describeInstance(instance, primary)),
      ...optional(
        "recovery",
        instances.find(({ status }) => status?.recovery !== undefined)?.status?.recovery,
      ),
      ...optional("storage", storageOf(view, primary)),
      ...optional("stores", storesOf(primary, backups.stores)),
      ...(given.aside.length === 0 ? {} : { aside: given.aside.map((entry) => describeAside(entry, view)) }),
      observedGeneration: view.resource.metadata.generation,
    },
  };
}

function conditionsOf(
  { view, instances, backups, remembered, now }: ReportFacts,
  primary: InstanceFacts | undefined,
): readonly Condition[] {
  const ready = instances.filter((instance) => isReady(instance, primary));
  const isWhole = primary !== undefined && ready.includes(primary) && ready.length >= view.instances;
  const found = [
    isWhole
      ? condition("Ready", "True", "ClusterIsReady", "Cluster is Ready")
      : condition("Ready", "False", "ClusterIsNotReady", "Cluster Is Not Ready"),
    archivingCondition(primary?.status),
    backups.lastBackup,
    systemIdCondition(instances),
    storageCondition(view, primary),
  ];
  return found
    .filter((item) => item !== undefined)
    .reduce<readonly Condition[]>((all, item) => withCondition(all, item, now), remembered.conditions);
}

/** CloudNativePG's map from the state of pods to their names (`instancesStatus`). */
function instancesStatus(
  instances: readonly InstanceFacts[],
  primary: InstanceFacts | undefined,
): Readonly<Record<string, readonly string[]>> {
  const groups = Map.groupBy(instances, (instance) => {
    if (isReady(instance, primary)) return "healthy";
    return isRunning(instance) ? "replicating" : "failed";
  });
  return Object.fromEntries([...groups].map(([state, members]) => [state, members.map(({ name }) => name)]));
}

function describeInstance(
  instance: InstanceFacts,
  primary: InstanceFacts | undefined,
): Record<string, unknown> {
  const { name, spec, status, isProcessAlive } = instance;
  const { postgres, error, phase, activity, retryAt } = status ?? {};
  const condition =
    primary === undefined || name === primary.name ? undefined : conditionOf(instance, primary);
  const problem =
    condition === undefined || condition.kind === "follows" || error !== undefined || status === undefined
      ? undefined
      : condition.reason;
  return {
    name,
    role: name === primary?.name ? "primary" : "standby",
    state: phase ?? (isProcessAlive ? "not answering" : "not running"),
    ready: isReady(instance, primary),
    ...(condition === undefined ? {} : { streaming: streams(instance) }),
    ...optional("activity", activity ?? (isRunning(instance) ? problem : undefined)),
    ...(error === undefined ? {} : { error: describeFailure(error) }),
    ...optional("retryAt", retryAt),
    ...optional("port", spec?.port),
    ...optional("lsn", postgres?.lsn),
    ...optional("timeline", postgres?.timeline),
    ...optional("version", postgres?.version),
    ...(postgres?.pendingRestart === true ? { pendingRestart: true } : {}),
  };
}

/** Each repository: what can be restored from it, and how the agent beside the primary sees it when it writes. */
function storesOf(
  primary: InstanceFacts | undefined,
  held: BackupReport["stores"],
): readonly unknown[] | undefined {
  const written = primary?.status?.archiving?.repositories;
  if (written === undefined) return held;
  return written.map((repository) => ({
    ...held?.find(({ name }) => name === repository.name),
    name: repository.name,
    serverName: repository.server,
    ...storeReport(repository),
    ...optional("error", repository.error?.message),
  }));
}

function describeAside(entry: AsideEntry, { resource }: ClusterView): Record<string, unknown> {
  return {
    path: entry.path,
    ...optional("bytes", entry.bytes),
    ...optional("putAsideAt", entry.putAsideAt?.toISOString()),
    ...optional("keptUntil", keptUntil(entry, resource.metadata.uid)?.toISOString()),
  };
}

/** CloudNativePG's words, from what the agent beside a server says; undefined while nothing is known. */
export function archivingCondition(
  status: Pick<InstanceStatus, "archiving" | "archivingError" | "rescue"> | undefined,
): Omit<Condition, "lastTransitionTime"> | undefined {
  const trouble = status === undefined ? undefined : archivingTrouble(status);
  if (trouble !== undefined) {
    return condition("ContinuousArchiving", "False", "ContinuousArchivingFailing", trouble);
  }
  // Nothing has been archived yet: nothing is known.
  if (status?.archiving?.lastArchived === undefined) return undefined;
  const failing = failingStores(status.archiving);
  const working = "Continuous archiving is working";
  return condition(
    "ContinuousArchiving",
    "True",
    "ContinuousArchivingSuccess",
    failing === undefined ? working : `${working} as the archive policy asks, but not in ${failing}`,
  );
}

function systemIdCondition(
  instances: readonly InstanceFacts[],
): Omit<Condition, "lastTransitionTime"> | undefined {
  const found = new Set(instances.flatMap(({ status }) => status?.postgres?.systemIdentifier ?? []));
  if (found.size === 0) return undefined;
  if (found.size === 1) {
    return condition(
      "ConsistentSystemID",
      "True",
      "Unique",
      "A single, unique system ID was found across reporting instances.",
    );
  }
  return condition(
    "ConsistentSystemID",
    "False",
    "Mismatch",
    `Multiple differing system IDs reported by instances: ${[...found].join(", ")}`,
  );
}

function optional<Value>(name: string, value: Value | undefined): Record<string, Value> {
  return value === undefined ? {} : { [name]: value };
}
