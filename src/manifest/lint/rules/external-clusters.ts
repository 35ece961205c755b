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
    "`bootstrap.recovery.source`, `bootstrap.pg_basebackup.source` and `source`, `self` and `primary` of `replica` name an entry of the same Cluster's externalClusters, and that entry must have something to read from: a plugin with an ObjectStore, a barmanObjectStore, or connectionParameters.",
  *check(world) {
    for (const object of world.clusters) {
      const external = externalClustersOf(world, object);
      for (const path of [
        ["spec", "bootstrap", "recovery", "source"],
        ["spec", "bootstrap", "pg_basebackup", "source"],
        ["spec", "replica", "source"],
        ["spec", "replica", "self"],
        ["spec", "replica", "primary"],
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
    "externalClusters is a list of sources. An entry that is named by no `source` does nothing; in particular nothing is ever written to it, and no server is connected to. It may stay, for a copy or recovery to come.",
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

const badName: Rule = {
  id: "bad-external-cluster-name",
  severity: "error",
  summary: "a name in externalClusters that is a path",
  explanation:
    "The name of an external cluster, and the Secret names and keys of its certificates, become parts of file names: CloudNativePG refuses a slash or backslash in them, and the names . and .. (\"cannot contain a path separator or a '..' component\").",
  *check(world) {
    for (const object of world.clusters) {
      for (const { path } of externalClustersOf(world, object)) {
        const fields = ["sslCert", "sslKey", "sslRootCert"].flatMap((field) => [
          [...path, field, "name"],
          [...path, field, "key"],
        ]);
        for (const at of [[...path, "name"], ...fields]) {
          const text = textAt(object, ...at);
          if (text === undefined || !(/[/\\]/.test(text) || text === "." || text === "..")) continue;
          yield {
            object,
            path: at,
            message: `"${text}" is a path: there can be no slash or backslash in it, and no name of dots alone`,
          };
        }
      }
    }
  },
};

const unusableSource: Rule = {
  id: "unusable-source",
  severity: "error",
  summary: "a source that cannot be read in the way that is asked for",
  explanation:
    "`bootstrap.pg_basebackup` copies a running server, so its source needs connectionParameters (which servers can be copied here, `copy-source` says). `bootstrap.recovery` restores a base backup and WAL, so its source needs the plugin with an ObjectStore, or a barmanObjectStore. CloudNativePG looks only whether an entry of that name is there; the job that makes the cluster then fails, and is started again and again.",
  *check(world) {
    for (const object of world.clusters) {
      for (const { name, path } of externalClustersOf(world, object)) {
        const hasConnection = isSetAt(object, ...path, "connectionParameters");
        const hasStore = isSetAt(object, ...path, "plugin") || isSetAt(object, ...path, "barmanObjectStore");
        // `empty-external-cluster` says it.
        if (!hasConnection && !hasStore) continue;
        const copied = ["spec", "bootstrap", "pg_basebackup", "source"];
        const recovered = ["spec", "bootstrap", "recovery", "source"];
        if (!hasConnection && textAt(object, ...copied) === name) {
          yield {
            object,
            path: copied,
            message: `external cluster "${name}" has no connectionParameters: there is no server to copy`,
            hint: "To restore from its store, write bootstrap.recovery.",
          };
        }
        if (!hasStore && textAt(object, ...recovered) === name) {
          yield {
            object,
            path: recovered,
            message: `external cluster "${name}" has no store: there is no backup to recover from`,
            hint: "To copy the running server, write bootstrap.pg_basebackup.",
          };
        }
      }
    }
  },
};

export const externalClusterRules: readonly Rule[] = [
  missingExternalCluster,
  emptyExternalCluster,
  unusedExternalCluster,
  badName,
  unusableSource,
];
