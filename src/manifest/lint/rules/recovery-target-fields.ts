import type { FieldPath, ManifestObject } from "../../manifest-object.ts";
import { recordAt, type World } from "../world.ts";

export const recoveryPath = ["spec", "bootstrap", "recovery"] as const;

export const targetPath = [...recoveryPath, "recoveryTarget"] as const;

/** Fields of recoveryTarget: `misplaced-recovery-target` speaks of these. */
export const recoveryTargetFields = [
  "targetTime",
  "targetXID",
  "targetLSN",
  "targetName",
  "targetImmediate",
  "targetTLI",
  "backupID",
  "exclusive",
];

/** At most one of these. */
export const exclusiveTargets = ["targetTime", "targetXID", "targetLSN", "targetName", "targetImmediate"];

/** Every recoveryTarget that is written in its place: of Clusters, and of RestoreDrills, whose `target` may be one. */
export function recoveryTargets(
  world: World,
): readonly { readonly object: ManifestObject; readonly path: FieldPath }[] {
  return [
    ...world.clusters.map((object) => ({ object, path: targetPath as FieldPath })),
    ...world.ofKind("RestoreDrill").map((object) => ({ object, path: drillTargetPath as FieldPath })),
  ].filter(({ object, path }) => recordAt(object, ...path) !== undefined);
}

export const drillTargetPath = ["spec", "target"] as const;

export function recovering(world: World): readonly ManifestObject[] {
  return world.clusters.filter((cluster) => recordAt(cluster, ...recoveryPath) !== undefined);
}
