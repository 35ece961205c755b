import { isDeepStrictEqual } from "node:util";
import { isRecord, valueAt, type FieldPath } from "../../manifest/manifest-object.ts";
import { rememberedStatus } from "../clusters/cluster-status.ts";
import type { Resource } from "../resources/resource.ts";
import type { ObjectFinding } from "./object-checks.ts";

/** Fields that cannot be changed once an object is there, in CloudNativePG's and Kubernetes' words. */
export function* checkImmutable(
  stored: Resource,
  content: Readonly<Record<string, unknown>>,
): Iterable<ObjectFinding> {
  const { kind, metadata } = stored;
  const differs = (path: FieldPath): boolean =>
    !isDeepStrictEqual(valueAt(stored.content, path), valueAt(content, path));
  if (kind === "Backup" && differs(["spec"])) {
    yield {
      rule: "immutable-field",
      severity: "error",
      path: ["spec"],
      message: "BackupSpec is immutable once set",
      hint: `A backup is taken once: make another Backup with a name of its own, or delete "${metadata.name}" first (the stored data stays).`,
    };
  }
  if (kind === "ScheduledBackup" && differs(["spec", "cluster", "name"])) {
    yield {
      rule: "immutable-field",
      severity: "error",
      path: ["spec", "cluster", "name"],
      message: "cluster reference is immutable after creation",
      hint: "Make another ScheduledBackup for the other cluster.",
    };
  }
  if ((kind === "Secret" || kind === "ConfigMap") && stored.content["immutable"] === true) {
    for (const field of ["immutable", "data", "binaryData"]) {
      if (!differs([field]) || (isEmpty(stored.content[field]) && isEmpty(content[field]))) continue;
      yield {
        rule: "immutable-field",
        severity: "error",
        path: [field],
        message: "field is immutable when `immutable` is set",
        hint: `Delete the ${kind} and make it again.`,
      };
    }
  }
  if (kind === "Cluster" && differs(["spec", "bootstrap"])) {
    yield {
      rule: "bootstrap-changed",
      severity: "warning",
      path: ["spec", "bootstrap"],
      ...effectOf(stored),
    };
  }
}

/** It has a system identifier as soon as it has data. */
function effectOf({ status }: Resource): Pick<ObjectFinding, "message" | "hint"> {
  return rememberedStatus(status).systemId === undefined
    ? {
        message:
          "the cluster has no data yet: its bootstrap is done as it says now if none is under way, or when the one that is has failed",
        hint: "Delete the Cluster first if what has begun is not to be finished.",
      }
    : {
        message: "the cluster is there already: what changes in its bootstrap has no effect",
        hint: "A Cluster is bootstrapped once, when it is made; make another one to bootstrap anew.",
      };
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || (isRecord(value) && Object.keys(value).length === 0);
