import type { InstanceStatus } from "../../instance/instance-status.ts";
import { withCondition, type Condition } from "../resources/conditions.ts";
import { isRunning, type ClusterDecision, type InstanceFacts } from "./cluster-facts.ts";
import { describeFailure } from "./describe-failure.ts";
import type { RememberedStatus } from "./cluster-status.ts";
import type { ClusterView } from "./cluster-view.ts";
import { quantityBytes } from "./server-parameters.ts";

const storageWarningPercent = 90;

/** What is said of a cluster's backups: from its Backups and from what its repositories hold. */
export interface BackupReport {
  /** Fields of the status, with CloudNativePG's names. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly lastBackup: Omit<Condition, "lastTransitionTime"> | undefined;
}

export interface ReportFacts {
  readonly view: ClusterView;
  readonly remembered: RememberedStatus;
  readonly decision: ClusterDecision;
  readonly instances: readonly InstanceFacts[];
  readonly backups: BackupReport;
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
    readyInstances: instances.filter(isRunning).length,
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
      observedGeneration: view.resource.metadata.generation,
    },
  };
}

function conditionsOf(
  { view, instances, backups, remembered, now }: ReportFacts,
  primary: InstanceFacts | undefined,
): readonly Condition[] {
  const isReady =
    primary !== undefined && isRunning(primary) && instances.filter(isRunning).length >= view.instances;
  const found = [
    isReady
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

function describeInstance(
  { name, spec, status, isProcessAlive }: InstanceFacts,
  primary: InstanceFacts | undefined,
): Record<string, unknown> {
  const { postgres, error, phase, activity, retryAt } = status ?? {};
  return {
    name,
    role: name === primary?.name ? "primary" : "standby",
    state: phase ?? (isProcessAlive ? "not answering" : "not running"),
    ...optional("activity", activity),
    ...(error === undefined ? {} : { error: describeFailure(error) }),
    ...optional("retryAt", retryAt),
    ...optional("port", spec?.port),
    ...optional("lsn", postgres?.lsn),
    ...optional("timeline", postgres?.timeline),
    ...optional("version", postgres?.version),
    ...(postgres?.pendingRestart === true ? { pendingRestart: true } : {}),
  };
}

/** CloudNativePG's words, from what the agent beside a server says; undefined while nothing is known. */
export function archivingCondition(
  status: Pick<InstanceStatus, "archiving" | "archivingError"> | undefined,
): Omit<Condition, "lastTransitionTime"> | undefined {
  const { archiving, archivingError } = status ?? {};
  if (archivingError !== undefined) {
    return condition("ContinuousArchiving", "False", "ContinuousArchivingFailing", archivingError.message);
  }
  if (archiving === undefined) return undefined;
  const { lastArchived, lastFailure, refused, repositories } = archiving;
  const failing = repositories.find(({ state }) => state === "failing");
  const trouble =
    refused[0]?.message ??
    failing?.error?.message ??
    (lastFailure?.error !== undefined && (lastArchived === undefined || lastFailure.at > lastArchived.at)
      ? lastFailure.error.message
      : undefined);
  if (trouble !== undefined) {
    return condition("ContinuousArchiving", "False", "ContinuousArchivingFailing", trouble);
  }
  // Nothing has been archived yet: nothing is known.
  if (lastArchived === undefined) return undefined;
  return condition(
    "ContinuousArchiving",
    "True",
    "ContinuousArchivingSuccess",
    "Continuous archiving is working",
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

/** Nothing keeps a data directory on one machine from growing past what its manifest says: that it does is said. */
function storageCondition(
  { spec }: ClusterView,
  primary: InstanceFacts | undefined,
): Omit<Condition, "lastTransitionTime"> | undefined {
  const usedBytes = primary?.status?.postgres?.dataBytes;
  const size = storageSize(spec);
  if (usedBytes === undefined || size === undefined) return undefined;
  const percent = Math.round((100 * usedBytes) / quantityBytes(size));
  if (percent < storageWarningPercent) {
    return condition(
      "StorageWithinSize",
      "True",
      "StorageWithinSize",
      `The databases use less than ${storageWarningPercent} % of ${size}`,
    );
  }
  const message = `The databases use ${percent} % of ${size}`;
  return condition(
    "StorageWithinSize",
    "False",
    percent < 100 ? "StorageNearlyFull" : "StorageExceeded",
    message,
  );
}

function storageSize(spec: ClusterView["spec"]): string | number | undefined {
  return spec.storage?.size ?? spec.storage?.pvcTemplate?.resources?.requests?.storage;
}

function storageOf(
  { spec }: ClusterView,
  primary: InstanceFacts | undefined,
): Record<string, unknown> | undefined {
  const usedBytes = primary?.status?.postgres?.dataBytes;
  if (usedBytes === undefined) return undefined;
  const size = storageSize(spec);
  return { usedBytes, ...(size === undefined ? {} : { size }) };
}

function condition(
  type: string,
  status: Condition["status"],
  reason: string,
  message: string,
): Omit<Condition, "lastTransitionTime"> {
  return { type, status, reason, message };
}

function optional<Value>(name: string, value: Value | undefined): Record<string, Value> {
  return value === undefined ? {} : { [name]: value };
}
