import { barmanPlugin, storeNames } from "../../manifest/lint/cluster-stores.ts";
import { isRecord, valueAt } from "../../manifest/manifest-object.ts";
import type { Resource } from "../resources/resource.ts";

/** A cluster that has to do with an ObjectStore. */
export interface StoreUser {
  readonly cluster: Resource;
  /** `source`: it is recovered from, and never written to. */
  readonly as: "destination" | "source";
  readonly serverName: string;
}

/** Who uses an ObjectStore, of the clusters of its namespace; by plugins only, since in-tree stores have none. */
export function usersOf(objectStore: Resource, clusters: readonly Resource[]): readonly StoreUser[] {
  const { name } = objectStore.metadata;
  return clusters.flatMap((cluster) =>
    pluginUses(cluster)
      .filter(({ parameters }) => storeNames(parameters).includes(name))
      .map(({ as, parameters }): StoreUser => {
        const { serverName } = parameters;
        const given = typeof serverName === "string" ? serverName : undefined;
        return { cluster, as, serverName: given ?? cluster.metadata.name };
      }),
  );
}

interface PluginUse {
  readonly as: StoreUser["as"];
  readonly parameters: Readonly<Record<string, unknown>>;
}

function pluginUses({ content }: Resource): readonly PluginUse[] {
  const destinations = listAt(content, "plugins").filter(isEnabledBarman);
  const sources = listAt(content, "externalClusters")
    .map((entry) => valueAt(entry, ["plugin"]))
    .filter(isEnabledBarman);
  return [
    // Of several entries CloudNativePG heeds the last one.
    ...destinations.slice(-1).map((entry) => ({ as: "destination" as const, ...parametersOf(entry) })),
    ...sources.map((entry) => ({ as: "source" as const, ...parametersOf(entry) })),
  ];
}

function isEnabledBarman(entry: unknown): boolean {
  return valueAt(entry, ["name"]) === barmanPlugin && valueAt(entry, ["enabled"]) !== false;
}

function parametersOf(entry: unknown): Pick<PluginUse, "parameters"> {
  const parameters = valueAt(entry, ["parameters"]);
  return { parameters: isRecord(parameters) ? parameters : {} };
}

function listAt(content: unknown, field: string): readonly unknown[] {
  const value = valueAt(content, ["spec", field]);
  return Array.isArray(value) ? value : [];
}
