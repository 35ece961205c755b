import type { ManifestObject } from "../../manifest-object.ts";
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

export function recovering(world: World): readonly ManifestObject[] {
  return world.clusters.filter((cluster) => recordAt(cluster, ...recoveryPath) !== undefined);
}
