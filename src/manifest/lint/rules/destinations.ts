import { formatPath, type ManifestObject } from "../../manifest-object.ts";
import {
  barmanPlugin,
  destinationPathOf,
  destinationsOf,
  enabledPlugins,
  externalClustersOf,
  placeOf,
  type PluginEntry,
  type StoreUse,
} from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { isSetAt, namespaceOf, type World } from "../world.ts";

/** Destinations: who writes where, who writes nowhere, and what nobody writes to. */

const unusedStore: Rule = {
  id: "unused-store",
  severity: "warning",
  summary: "an ObjectStore that no cluster writes to",
  explanation:
    "An ObjectStore is only a description. Nothing is written to it unless a Cluster names it in the parameters of its plugin, and a plugin entry names one: a second ObjectStore beside it never receives a byte, however it is called. An entry in externalClusters is a source to read from, never a copy. To write to several stores at once, name the further ones with `additionalObjectNames: minio-store,gcs-store` in the plugin's parameters; CloudNativePG ignores that parameter, so the manifest works there too. A Server lists its stores in `spec.stores`.",
  *check(world) {
    const written = new Set(
      world.writers.flatMap((writer) => destinationsOf(world, writer).map(({ store }) => store)),
    );
    const sources = world.clusters.flatMap((cluster) =>
      externalClustersOf(world, cluster).flatMap(({ use }) => use?.store ?? []),
    );
    for (const object of world.stores) {
      if (written.has(object)) continue;
      const isRead = sources.includes(object);
      const hint = howToWriteTo(world, object);
      yield {
        object,
        path: ["metadata", "name"],
        ...(isRead ? { severity: "info" as const } : {}),
        message: isRead
          ? `ObjectStore "${object.name}" is only read from: no cluster of these manifests writes to it`
          : `ObjectStore "${object.name}" is not used by any cluster as a destination: nothing will be written to it`,
        ...(hint === undefined ? {} : { hint }),
      };
    }
  },
};

/** To the first writer of its namespace. */
function howToWriteTo(world: World, store: ManifestObject): string | undefined {
  const writer = world.writers.find(
    (object) => namespaceOf(object) === namespaceOf(store) && destinationsOf(world, object).length > 0,
  );
  if (writer === undefined) return undefined;
  const repository = `To make it a further repository of ${writer.kind} "${writer.name}":`;
  if (writer.kind === "Server") return `${repository} add {name: ${store.name}} to spec.stores`;
  const plugin = barmanEntry(writer);
  if (plugin === undefined) return undefined;
  const further = plugin.parameters["additionalObjectNames"];
  const value = typeof further === "string" ? `${further},${store.name}` : store.name;
  return `${repository} ${formatPath(plugin.path)}.parameters.additionalObjectNames: ${value}`;
}

function barmanEntry(cluster: ManifestObject): PluginEntry | undefined {
  return enabledPlugins(cluster).find(({ name }) => name === barmanPlugin);
}

const pluginAndInTree: Rule = {
  id: "plugin-and-in-tree",
  severity: "warning",
  summary: "the plugin and barmanObjectStore in one Cluster",
  explanation:
    "CloudNativePG refuses a WAL archiver plugin beside `spec.backup.barmanObjectStore`. Here it depends on where they point: to the same place, they are taken as one repository, with the in-tree part's compression, encryption and jobs; to different places, as two repositories that both get everything.",
  *check(world) {
    for (const object of world.clusters) {
      const uses = destinationsOf(world, object);
      const inTree = uses.find(({ via }) => via === "in-tree");
      const plugin = uses.find(({ via }) => via === "plugin");
      if (inTree === undefined || plugin === undefined) continue;
      const isSame = isSamePlace(inTree, plugin);
      yield {
        object,
        path: inTree.path,
        message: isSame
          ? "it means the same place as the plugin: they are one repository here, and CloudNativePG refuses both together"
          : "it means another place than the plugin: they are two repositories here, and CloudNativePG refuses both together",
        hint: isSame
          ? "Move its settings to the ObjectStore and leave it out."
          : "Make it an ObjectStore and name that in additionalObjectNames of the plugin's parameters.",
      };
    }
  },
};

/** Stores that are not among the manifests may be any place. */
function isSamePlace(a: StoreUse, b: StoreUse): boolean {
  const place = placeOf(a);
  return place !== undefined && place === placeOf(b) && a.serverName === b.serverName;
}

const twoWriters: Rule = {
  id: "two-writers",
  severity: "error",
  summary: "two systems that write into one archive",
  explanation:
    "Two PostgreSQL systems must never share destination path and server name: their WAL files have the same names, and one would destroy the other's archive. Give one of them another serverName. That holds for a copy of a cluster and its origin above all: they are one system by its identifier, and only their timelines differ.",
  *check(world) {
    const first = new Map<string, StoreUse>();
    for (const use of world.writers.flatMap((writer) => destinationsOf(world, writer))) {
      const place = placeOf(use);
      if (place === undefined) continue;
      const id = `${place} ${use.serverName}`;
      const other = first.get(id);
      if (other === undefined) {
        first.set(id, use);
        continue;
      }
      if (other.cluster === use.cluster) continue;
      const title = `${other.cluster.kind} ${namespaceOf(other.cluster)}/${other.cluster.name}`;
      yield {
        object: use.cluster,
        path: use.path,
        message: `it writes to ${destinationPathOf(use) ?? "the same place"} as server "${use.serverName}", and so does ${title}`,
        hint: "Give one of them another serverName.",
      };
    }
  },
};

const archivesNowhere: Rule = {
  id: "archives-nowhere",
  severity: "warning",
  summary: "a Cluster that is not backed up",
  explanation:
    "Without the plugin (or the in-tree store) a Cluster archives no WAL and takes no backups. That includes a cluster that was restored from a backup: externalClusters is where it came from, not where it goes.",
  *check(world) {
    for (const object of world.clusters) {
      if (destinationsOf(world, object).length > 0) continue;
      const isRestored = ["recovery", "pg_basebackup"].some((way) =>
        isSetAt(object, "spec", "bootstrap", way),
      );
      yield {
        object,
        path: ["spec"],
        message: isRestored
          ? "the new cluster archives nowhere: it has no plugin, and externalClusters is only where it comes from"
          : "it archives nowhere: it has neither the plugin nor a barmanObjectStore",
        hint: `Add the plugin ${barmanPlugin} with parameters.barmanObjectName.`,
      };
    }
  },
};

export const destinationRules: readonly Rule[] = [unusedStore, pluginAndInTree, twoWriters, archivesNowhere];
