import { isRecord, type ManifestObject } from "../../manifest-object.ts";
import { destinationsOf, externalClustersOf, placeOf } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { isSetAt, listAt, namespaceOf, textAt, type World } from "../world.ts";
import { recovering, recoveryPath } from "./recovery-target-fields.ts";

/** What a restored cluster must have to be the one that it is restored from. */

const withoutSource: Rule = {
  id: "recovery-without-source",
  severity: "error",
  summary: "a recovery that does not say from what",
  explanation:
    "`bootstrap.recovery` restores from `source`, an entry of externalClusters, or from `backup`, a Backup of the same namespace. With neither there is nothing to restore, and CloudNativePG notices it only when its job fails.",
  *check(world) {
    for (const object of recovering(world)) {
      const ways = ["source", "backup", "volumeSnapshots"];
      if (ways.some((way) => isSetAt(object, ...recoveryPath, way))) continue;
      yield {
        object,
        path: recoveryPath,
        message: "recovery has neither a source nor a backup: there is nothing to recover from",
        hint: "Name an entry of externalClusters in source, or a Backup in backup.name.",
      };
    }
  },
};

const missingTablespace: Rule = {
  id: "missing-tablespace",
  severity: "warning",
  summary: "a restored cluster without a tablespace of its origin",
  explanation:
    "A base backup restores each tablespace to the place that it had. In CloudNativePG that place is made from `spec.tablespaces[].name`, so the restored Cluster must declare the same names; without one of them its recovery fails. Here a tablespace that is not declared goes beside the data directory. It is said where the origin is among the manifests.",
  *check(world) {
    for (const object of recovering(world)) {
      const origin = originOf(world, object);
      if (origin === undefined) continue;
      const own = tablespacesOf(object).map((name) => name.toLowerCase());
      for (const name of tablespacesOf(origin)) {
        if (own.includes(name.toLowerCase())) continue;
        yield {
          object,
          path: isSetAt(object, "spec", "tablespaces") ? ["spec", "tablespaces"] : recoveryPath,
          message: `Cluster "${origin.name}" has a tablespace "${name}", and this one, which is restored from it, has not`,
          hint: `Add ${name} to spec.tablespaces, with its storage.`,
        };
      }
    }
  },
};

/** The Cluster of these manifests that the data comes from, if that is certain. */
function originOf(world: World, object: ManifestObject): ManifestObject | undefined {
  const backup = textAt(object, ...recoveryPath, "backup", "name");
  if (backup !== undefined) {
    const found = world.find("Backup", namespaceOf(object), backup);
    const name = found && textAt(found, "spec", "cluster", "name");
    return name === undefined ? undefined : world.find("Cluster", namespaceOf(object), name);
  }
  const source = textAt(object, ...recoveryPath, "source");
  const use = externalClustersOf(world, object).find(({ name }) => name === source)?.use;
  const place = use && placeOf(use);
  if (use === undefined || place === undefined) return undefined;
  const writers = world.clusters.filter(
    (other) =>
      other !== object &&
      destinationsOf(world, other).some(
        (destination) => placeOf(destination) === place && destination.serverName === use.serverName,
      ),
  );
  return writers.length === 1 ? writers[0] : undefined;
}

function tablespacesOf(cluster: ManifestObject): readonly string[] {
  return listAt(cluster, "spec", "tablespaces").flatMap((item) =>
    isRecord(item) && typeof item["name"] === "string" && item["temporary"] !== true ? [item["name"]] : [],
  );
}

export const restoredClusterRules: readonly Rule[] = [withoutSource, missingTablespace];
