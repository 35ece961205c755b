import { nearest } from "../../nearest.ts";
import { externalClustersOf } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { isSetAt, textAt } from "../world.ts";

/** External clusters: sources, and nothing else. */

const missingExternalCluster: Rule = {
  id: "missing-external-cluster",
  severity: "error",
  summary: "a source that is not among the external clusters",
  explanation:
    "`bootstrap.recovery.source`, `bootstrap.pg_basebackup.source` and `replica.source` name an entry of the same Cluster's externalClusters, and that entry must have something to read from: a plugin with an ObjectStore, a barmanObjectStore, or connectionParameters.",
  *check(world) {
    for (const object of world.clusters) {
      const external = externalClustersOf(world, object);
      for (const path of [
        ["spec", "bootstrap", "recovery", "source"],
        ["spec", "bootstrap", "pg_basebackup", "source"],
        ["spec", "replica", "source"],
      ]) {
        const source = textAt(object, ...path);
        if (source === undefined || external.some(({ name }) => name === source)) continue;
        // `recovery-source-is-backup` says what was meant.
        if (source === textAt(object, "spec", "bootstrap", "recovery", "backup", "name")) continue;
        const near = nearest(
          source,
          external.map(({ name }) => name),
        );
        yield {
          object,
          path,
          message: `external cluster "${source}" not found`,
          hint:
            near === undefined
              ? `externalClusters has ${external.map(({ name }) => `"${name}"`).join(", ") || "no entry"}.`
              : `Did you mean "${near}"?`,
        };
      }
    }
  },
};

const emptyExternalCluster: Rule = {
  id: "empty-external-cluster",
  severity: "error",
  summary: "an external cluster with nothing to read from, or named twice",
  explanation:
    'An entry of externalClusters has a plugin with an ObjectStore, a barmanObjectStore, or connectionParameters ("one of connectionParameters, plugin and barmanObjectStore is required"), and a name of its own ("the list of external clusters contains duplicate values").',
  *check(world) {
    for (const object of world.clusters) {
      const names = new Set<string>();
      for (const { name, path } of externalClustersOf(world, object)) {
        const ways = ["connectionParameters", "plugin", "barmanObjectStore"];
        if (!ways.some((way) => isSetAt(object, ...path, way))) {
          yield { object, path, message: `external cluster "${name}" has nothing to read from` };
        }
        if (names.has(name)) yield { object, path, message: `there are two external clusters "${name}"` };
        names.add(name);
      }
    }
  },
};

const unusedExternalCluster: Rule = {
  id: "unused-external-cluster",
  severity: "info",
  summary: "an external cluster that nothing uses",
  explanation:
    "externalClusters is a list of sources. An entry that is named by no `source` does nothing; in particular nothing is ever written to it.",
  *check(world) {
    for (const object of world.clusters) {
      const sources = [
        textAt(object, "spec", "bootstrap", "recovery", "source"),
        textAt(object, "spec", "bootstrap", "pg_basebackup", "source"),
        textAt(object, "spec", "replica", "source"),
        textAt(object, "spec", "replica", "self"),
        textAt(object, "spec", "replica", "primary"),
      ];
      for (const { name, path } of externalClustersOf(world, object)) {
        if (sources.includes(name)) continue;
        yield {
          object,
          path,
          message: `external cluster "${name}" is not used: nothing is read from it, and nothing is ever written to one`,
        };
      }
    }
  },
};

export const externalClusterRules: readonly Rule[] = [
  missingExternalCluster,
  emptyExternalCluster,
  unusedExternalCluster,
];
