import { isRecord, type FieldPath, type ManifestObject } from "../manifest-object.ts";
import { isSetAt, listAt, namespaceOf, recordAt, textAt, type World } from "./world.ts";

/** Where clusters write to and read from, as their manifests say. */

/** CloudNativePG's plugin for Barman Cloud. */
export const barmanPlugin = "barman-cloud.cloudnative-pg.io";

/** Parameters of it that are ours: on CloudNativePG they are ignored, so the manifest works there too. */
export const ourParameters = ["additionalObjectNames", "archivePolicy"] as const;

/** One repository of a Cluster or Server, or one source of a recovery. */
export interface StoreUse {
  /** The Cluster; or the Server. */
  readonly cluster: ManifestObject;
  /** To what names the store: an entry of `plugins`, `externalClusters` or a Server's `stores`, or the in-tree configuration. */
  readonly path: FieldPath;
  readonly via: "plugin" | "in-tree" | "server";
  /** Name of the ObjectStore; undefined in-tree. */
  readonly storeName: string | undefined;
  /** That ObjectStore, if it is among the manifests. */
  readonly store: ManifestObject | undefined;
  /** The object with the configuration, and where in it. Undefined when the ObjectStore is not there. */
  readonly configuration: { readonly object: ManifestObject; readonly path: FieldPath } | undefined;
  readonly serverName: string;
  readonly isServerNameGiven: boolean;
}

/** The destinations of a cluster: its plugin's store, further ones of ours, and the in-tree one; those of a Server. */
export function destinationsOf(world: World, cluster: ManifestObject): readonly StoreUse[] {
  if (cluster.kind === "Server") return serverStores(world, cluster);
  const uses: StoreUse[] = [];
  for (const { path, parameters } of enabledPlugins(cluster)) {
    const serverName = text(parameters["serverName"]);
    for (const name of storeNames(parameters)) {
      uses.push(pluginUse(world, cluster, path, name, serverName, cluster.name));
    }
  }
  const inTree = ["spec", "backup", "barmanObjectStore"];
  if (recordAt(cluster, ...inTree) !== undefined) uses.push(inTreeUse(cluster, inTree, cluster.name));
  return uses;
}

/** The stores that an entry of `plugins` names, in their order; one may be there twice. */
export function storeNames(parameters: Readonly<Record<string, unknown>>): readonly string[] {
  const further = text(parameters["additionalObjectNames"])?.split(",") ?? [];
  const names = [text(parameters["barmanObjectName"]), ...further.map((item) => item.trim())];
  return names.filter((name): name is string => name !== undefined && name !== "");
}

function serverStores(world: World, server: ManifestObject): readonly StoreUse[] {
  return listAt(server, "spec", "stores").flatMap((entry, index) => {
    const name = isRecord(entry) ? text(entry["name"]) : undefined;
    if (!isRecord(entry) || name === undefined) return [];
    const use = pluginUse(
      world,
      server,
      ["spec", "stores", index],
      name,
      text(entry["serverName"]),
      server.name,
    );
    return [{ ...use, via: "server" as const }];
  });
}

/** Where the server name of a use is written, or would be. */
export function serverNamePath({ path, via }: StoreUse): FieldPath {
  return via === "plugin" ? [...path, "parameters", "serverName"] : [...path, "serverName"];
}

/** A source that is named in `externalClusters`, and what it would be read from. */
export interface ExternalCluster {
  readonly name: string;
  readonly path: FieldPath;
  /** Undefined when it is no store: a connection, or nothing. */
  readonly use: StoreUse | undefined;
}

export function externalClustersOf(world: World, cluster: ManifestObject): readonly ExternalCluster[] {
  return listAt(cluster, "spec", "externalClusters").flatMap((entry, index) => {
    if (!isRecord(entry)) return [];
    const name = text(entry["name"]);
    if (name === undefined) return [];
    const path = ["spec", "externalClusters", index];
    const plugin = entry["plugin"];
    if (isRecord(plugin)) {
      const parameters = isRecord(plugin["parameters"]) ? plugin["parameters"] : {};
      const store = text(parameters["barmanObjectName"]);
      const at = [...path, "plugin"];
      // The plugin's default is the name of the new cluster, not of this entry.
      const use =
        store === undefined
          ? undefined
          : pluginUse(world, cluster, at, store, text(parameters["serverName"]), cluster.name);
      return [{ name, path, use }];
    }
    const inTree = [...path, "barmanObjectStore"];
    const use = isRecord(entry["barmanObjectStore"]) ? inTreeUse(cluster, inTree, name) : undefined;
    return [{ name, path, use }];
  });
}

export interface PluginEntry {
  readonly path: FieldPath;
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export function enabledPlugins(cluster: ManifestObject): readonly PluginEntry[] {
  return listAt(cluster, "spec", "plugins").flatMap((entry, index) => {
    if (!isRecord(entry) || entry["enabled"] === false) return [];
    const parameters = isRecord(entry["parameters"]) ? entry["parameters"] : {};
    return [{ path: ["spec", "plugins", index], name: text(entry["name"]) ?? "", parameters }];
  });
}

/** All plugin entries of a cluster, of the sources too. */
export function pluginEntries(cluster: ManifestObject): readonly PluginEntry[] {
  const ofSources = listAt(cluster, "spec", "externalClusters").flatMap((entry, index) => {
    const plugin = isRecord(entry) ? entry["plugin"] : undefined;
    if (!isRecord(plugin)) return [];
    const parameters = isRecord(plugin["parameters"]) ? plugin["parameters"] : {};
    return [
      { path: ["spec", "externalClusters", index, "plugin"], name: text(plugin["name"]) ?? "", parameters },
    ];
  });
  return [...enabledPlugins(cluster), ...ofSources];
}

function pluginUse(
  world: World,
  cluster: ManifestObject,
  path: FieldPath,
  storeName: string,
  serverName: string | undefined,
  defaultName: string,
): StoreUse {
  const store = world.find("ObjectStore", namespaceOf(cluster), storeName);
  return {
    cluster,
    path,
    via: "plugin",
    storeName,
    store,
    configuration: store === undefined ? undefined : { object: store, path: ["spec", "configuration"] },
    serverName: serverName ?? defaultName,
    isServerNameGiven: serverName !== undefined,
  };
}

function inTreeUse(cluster: ManifestObject, path: FieldPath, defaultName: string): StoreUse {
  return {
    cluster,
    path,
    via: "in-tree",
    storeName: undefined,
    store: undefined,
    configuration: { object: cluster, path },
    serverName: textAt(cluster, ...path, "serverName") ?? defaultName,
    isServerNameGiven: isSetAt(cluster, ...path, "serverName"),
  };
}

/** Endpoint and path of a use, in one form: two uses with the same one mean the same place. Undefined when not known. */
export function placeOf({ configuration }: StoreUse): string | undefined {
  if (configuration === undefined) return undefined;
  const { object, path } = configuration;
  const destination = textAt(object, ...path, "destinationPath");
  if (destination === undefined) return undefined;
  const endpoint = textAt(object, ...path, "endpointURL") ?? "";
  // A directory may be written with `file://` and without.
  const place = destination.replace(/^file:\/\//, "").replace(/\/+$/, "");
  return `${endpoint.replace(/\/+$/, "").toLowerCase()} ${place}`;
}

/** The destination path of a use, for messages. */
export function destinationPathOf({ configuration }: StoreUse): string | undefined {
  return configuration && textAt(configuration.object, ...configuration.path, "destinationPath");
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

interface StoreConfiguration {
  readonly object: ManifestObject;
  readonly path: FieldPath;
}

/** Every store's configuration, wherever it stands: in ObjectStores, and in Clusters as destinations and sources. */
export function configurations(world: World): readonly StoreConfiguration[] {
  const ofStores = world.stores.map((object) => ({ object, path: ["spec", "configuration"] }));
  const ofClusters = world.clusters.flatMap((object) => [
    { object, path: ["spec", "backup", "barmanObjectStore"] as FieldPath },
    ...listAt(object, "spec", "externalClusters").map((_entry, index) => ({
      object,
      path: ["spec", "externalClusters", index, "barmanObjectStore"] as FieldPath,
    })),
  ]);
  return [...ofStores, ...ofClusters].filter(({ object, path }) => recordAt(object, ...path) !== undefined);
}
