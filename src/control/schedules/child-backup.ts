import { isRecord, valueAt } from "../../manifest/manifest-object.ts";
import {
  ownerReferenceTo,
  type OwnerReference,
  type Resource,
  type ResourceDraft,
} from "../resources/resource.ts";

/** Labels of a schedule's children (spec: section 8.4). */
export const backupLabels = {
  cluster: "cnpg.io/cluster",
  immediate: "cnpg.io/immediateBackup",
  schedule: "cnpg.io/scheduled-backup",
} as const;

const copied = [
  "cluster",
  "method",
  "target",
  "pluginConfiguration",
  "online",
  "onlineConfiguration",
] as const;

/** The Backup that a schedule makes. Its cluster is asked for with `backupOwnerReference: cluster` only. */
export function childBackup(
  schedule: Resource,
  cluster: Resource | undefined,
  { name, isImmediate }: { readonly name: string; readonly isImmediate: boolean },
): ResourceDraft {
  const spec = valueAt(schedule.content, ["spec"]);
  const isClusters = ownerOf(schedule) === "cluster";
  return {
    apiVersion: schedule.apiVersion,
    kind: "Backup",
    namespace: schedule.metadata.namespace,
    name,
    content: {
      spec: Object.fromEntries(
        copied.flatMap((field): readonly [string, unknown][] => {
          const value = valueAt(spec, [field]);
          return value === undefined ? [] : [[field, value]];
        }),
      ),
    },
    labels: {
      ...(isClusters ? inherited(cluster, "labels") : {}),
      [backupLabels.cluster]: clusterNameOf(schedule),
      [backupLabels.immediate]: String(isImmediate),
      [backupLabels.schedule]: schedule.metadata.name,
    },
    annotations: isClusters ? inherited(cluster, "annotations") : {},
    ownerReferences: ownerReferences(schedule, cluster),
  };
}

/** `none`, `self` or `cluster`. */
export function ownerOf(schedule: Resource): string {
  return textAt(schedule, "backupOwnerReference") ?? "none";
}

export function clusterNameOf(schedule: Resource): string {
  return textAt(schedule, "cluster", "name") ?? "";
}

function ownerReferences(schedule: Resource, cluster: Resource | undefined): readonly OwnerReference[] {
  const owner = ownerOf(schedule);
  if (owner === "self") return [ownerReferenceTo(schedule)];
  return owner === "cluster" && cluster !== undefined ? [ownerReferenceTo(cluster)] : [];
}

/** What a Cluster gives to everything that it owns. */
function inherited(cluster: Resource | undefined, what: "labels" | "annotations"): Record<string, string> {
  const values = valueAt(cluster?.content, ["spec", "inheritedMetadata", what]);
  return Object.fromEntries(
    Object.entries(isRecord(values) ? values : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

function textAt(schedule: Resource, ...path: readonly string[]): string | undefined {
  const value = valueAt(schedule.content, ["spec", ...path]);
  return typeof value === "string" ? value : undefined;
}
