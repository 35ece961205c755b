import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import { parseArchivePolicy, policyProblem, type ArchivePolicy } from "../../agent/archive-policy.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ClusterView } from "./cluster-view.ts";
import {
  defaultRetentionIntervalSeconds,
  describeObjectStore,
  type Resolution,
  type StoreConfiguration,
  type StoreDescription,
} from "./store-resolution.ts";

/** Where a cluster's WAL and backups go, as its manifest says. */
export interface ClusterArchive {
  /** The same for all: the plugin has one parameter, and in-tree it is the cluster's name unless said otherwise. */
  readonly serverName: string;
  /** Empty for a cluster that archives nowhere. */
  readonly stores: readonly StoreDescription[];
  readonly policy: ArchivePolicy;
  /** What CloudNativePG calls the way of the first store. */
  readonly method: "plugin" | "barmanObjectStore" | undefined;
}

/** Of the plugin entry that CloudNativePG would heed: the last one of several. */
export function barmanEntryOf({
  spec,
}: ClusterView): { readonly parameters: Readonly<Record<string, string>> } | undefined {
  const entry = spec.plugins
    ?.filter(({ name, enabled }) => name === barmanPlugin && enabled !== false)
    .at(-1);
  return entry === undefined ? undefined : { parameters: entry.parameters ?? {} };
}

export function archiveOf(view: ClusterView, store: ResourceStore): Resolution<ClusterArchive> {
  const { spec, name, namespace } = view;
  const problems: string[] = [];
  const stores: StoreDescription[] = [];
  const entry = barmanEntryOf(view);
  const pluginServer = entry?.parameters["serverName"] ?? name;
  for (const storeName of storeNames(entry?.parameters ?? {})) {
    const found = describeObjectStore(store, namespace, storeName, pluginServer);
    if (found.kind === "ok") stores.push(found.value);
    else problems.push(...found.problems);
  }
  const inTree = spec.backup?.barmanObjectStore;
  if (inTree !== undefined) addInTree(stores, pluginServer, inTree);
  const other = stores.find(({ serverName }) => serverName !== pluginServer);
  if (entry !== undefined && other !== undefined) {
    problems.push(
      `spec.backup.barmanObjectStore has the serverName "${other.serverName}" and the plugin "${pluginServer}": one cluster archives under one name`,
    );
  }
  const retention = spec.backup?.retentionPolicy;
  if (problems.length > 0) return { kind: "missing", problems };
  const policyText = entry?.parameters["archivePolicy"] ?? "all";
  const policy = parseArchivePolicy(policyText);
  if (!isPossible(policy, stores)) {
    const known = stores.map((item) => item.name).join(", ");
    return {
      kind: "missing",
      problems: [
        `archivePolicy "${policyText}" is not "all", "any", a number up to ${stores.length}, or some of the stores ${known}`,
      ],
    };
  }
  return {
    kind: "ok",
    value: {
      serverName: entry === undefined ? (inTree?.serverName ?? name) : pluginServer,
      // CloudNativePG's plugin does not read the cluster's own policy, and people mean it (rule retention-in-cluster).
      stores: stores.map((item) => ({ ...item, retentionPolicy: item.retentionPolicy ?? retention })),
      policy,
      method: entry !== undefined ? "plugin" : inTree === undefined ? undefined : "barmanObjectStore",
    },
  };
}

function storeNames(parameters: Readonly<Record<string, string>>): readonly string[] {
  const further = parameters["additionalObjectNames"]?.split(",") ?? [];
  const names = [parameters["barmanObjectName"] ?? "", ...further].map((item) => item.trim());
  return [...new Set(names.filter((item) => item !== ""))];
}

/**
 * The in-tree store beside the plugin's: of the same place it is the same store, whose settings the in-tree part adds to;
 * of another it is a further one.
 */
function addInTree(stores: StoreDescription[], defaultName: string, configuration: StoreConfiguration): void {
  const same = stores.findIndex((other) => placeOf(other.configuration) === placeOf(configuration));
  const found = stores[same];
  if (found === undefined) {
    stores.push({
      name: stores.some(({ name }) => name === "in-tree") ? "barman-object-store" : "in-tree",
      objectStore: undefined,
      serverName: configuration.serverName ?? defaultName,
      configuration,
      retentionPolicy: undefined,
      retentionIntervalSeconds: defaultRetentionIntervalSeconds,
      environment: {},
    });
    return;
  }
  stores[same] = { ...found, configuration: { ...configuration, ...found.configuration } };
}

/** A directory may be written with `file://` and without. */
function placeOf({ destinationPath, endpointURL = "" }: StoreConfiguration): string {
  const path = destinationPath.replace(/^file:\/\//, "").replace(/\/+$/, "");
  return `${endpointURL.replace(/\/+$/, "").toLowerCase()} ${path}`;
}

/** A store of the one in which both would write below the same name. */
export function sharedStore(one: ClusterArchive, other: ClusterArchive): StoreDescription | undefined {
  return one.stores.find((store) =>
    other.stores.some(
      ({ serverName, configuration }) =>
        serverName === store.serverName && placeOf(configuration) === placeOf(store.configuration),
    ),
  );
}

/** Whether there are such stores. A cluster without stores archives nowhere, whatever its policy. */
export function isPossible(policy: ArchivePolicy, stores: readonly StoreDescription[]): boolean {
  if (stores.length === 0) return true;
  return (
    policyProblem(
      policy,
      stores.map(({ name }) => name),
    ) === undefined
  );
}
