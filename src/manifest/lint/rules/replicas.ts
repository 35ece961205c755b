import { isRecord, valueAt, type ManifestObject } from "../../manifest-object.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, recordAt, textAt } from "../world.ts";

/** Replica clusters: `spec.replica`. */

const path = ["spec", "replica"] as const;

const replicaMode: Rule = {
  id: "replica-mode",
  severity: "error",
  summary: "a replica cluster that contradicts itself, or has nothing to begin with",
  explanation:
    'Whether a Cluster is a replica is said either by `replica.enabled`, or by `replica.primary` (with `self`, or the Cluster\'s name): CloudNativePG refuses both together ("replica mode enabled is not compatible with the primary field"). A replica begins as a copy: "bootstrap configuration is required for replica mode", by pg_basebackup or recovery. A promotionToken is for the Cluster that becomes the primary, and not together with minApplyDelay.',
  *check(world) {
    for (const object of world.clusters) {
      if (recordAt(object, ...path) === undefined) continue;
      if (isSetAt(object, ...path, "enabled") && hasPrimary(object)) {
        yield {
          object,
          path: [...path, "enabled"],
          message: "replica mode enabled is not compatible with the primary field",
          hint: "Leave enabled out: primary says which cluster is the primary.",
          fix: { title: "remove enabled", edits: [{ kind: "remove", object, path: [...path, "enabled"] }] },
        };
      }
      if (isReplica(object)) yield* bootstrapFindings(object);
      yield* tokenFindings(object);
    }
  },
};

function hasPrimary(object: ManifestObject): boolean {
  return (textAt(object, ...path, "primary") ?? "") !== "";
}

/** As CloudNativePG decides it. */
function isReplica(object: ManifestObject): boolean {
  const enabled = valueAt(object.value, [...path, "enabled"]);
  if (typeof enabled === "boolean") return enabled;
  return (textAt(object, ...path, "self") ?? object.name) !== textAt(object, ...path, "primary");
}

function* bootstrapFindings(object: ManifestObject): Iterable<Finding> {
  const bootstrap = valueAt(object.value, ["spec", "bootstrap"]);
  if (!isRecord(bootstrap)) {
    yield {
      object,
      path,
      message: "bootstrap configuration is required for replica mode",
      hint: "Write bootstrap.pg_basebackup or bootstrap.recovery, with the same source.",
    };
  } else if (bootstrap["pg_basebackup"] === undefined && bootstrap["recovery"] === undefined) {
    yield {
      object,
      path: ["spec", "bootstrap"],
      message: "replica mode bootstrap is compatible only with pg_basebackup or recovery",
    };
  }
}

function* tokenFindings(object: ManifestObject): Iterable<Finding> {
  if ((textAt(object, ...path, "promotionToken") ?? "") === "") return;
  const at = [...path, "promotionToken"];
  if (isSetAt(object, ...path, "minApplyDelay")) {
    yield {
      object,
      path: [...path, "minApplyDelay"],
      message: "minApplyDelay cannot be applied with a promotion token",
    };
  } else if (isReplica(object)) {
    yield { object, path: at, message: "promotionToken is only allowed for primary clusters" };
  }
}

export const replicaRules: readonly Rule[] = [replicaMode];
