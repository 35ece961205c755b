import { barmanPlugin, storeNames } from "../../manifest/lint/cluster-stores.ts";
import { isRecord, valueAt } from "../../manifest/manifest-object.ts";
import type { Resource } from "../resources/resource.ts";

/** A Cluster or Server that has to do with an ObjectStore. */
export interface StoreUser {
  readonly user: Resource;
  /** `source`: it is recovered from, and never written to. */
  readonly as: "destination" | "source";
  readonly serverName: string;
}

/** Who uses an ObjectStore, of the Clusters and Servers of its namespace; Clusters by plugins only, since in-tree stores have none. */
export function usersOf(objectStore: Resource, candidates: readonly Resource[]): readonly StoreUser[] {
  const { name } = objectStore.metadata;
  return candidates.flatMap((user) =>
    user.kind === "Server" ? serverUses(user, name) : clusterUses(user, name),
  );
}

function serverUses(user: Resource, name: string): readonly StoreUser[] {
  return listAt(user.content, "stores")
    .filter((entry) => valueAt(entry, ["name"]) === name)
    .map((entry): StoreUser => {
      const given = valueAt(entry, ["serverName"]);
      return { user, as: "destination", serverName: typeof given === "string" ? given : user.metadata.name };
    });
}

function clusterUses(user: Resource, name: string): readonly StoreUser[] {
  return pluginUses(user)
    .filter(({ parameters }) => storeNames(parameters).includes(name))
    .map(({ as, parameters }): StoreUser => {
      const { serverName } = parameters;
      const given = typeof serverName === "string" ? serverName : undefined;
      return { user, as, serverName: given ?? user.metadata.name };
    });
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
