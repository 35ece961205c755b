import { parseArchivePolicy, type ArchivePolicy } from "../../../agent/archive-policy.ts";
import { isRecord, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { barmanPlugin, destinationsOf, enabledPlugins, storeNames } from "../cluster-stores.ts";
import type { Rule } from "../rule.ts";
import { listAt, namespaceOf, textAt, type World } from "../world.ts";

/** Where a Server, or a Cluster with our parameters, writes: several stores, and how many of them are enough. */

interface StoreList {
  readonly object: ManifestObject;
  /** To the setting that says how many are enough. */
  readonly policyPath: FieldPath;
  readonly stores: readonly { readonly name: string; readonly path: FieldPath }[];
}

function storeLists(world: World): readonly StoreList[] {
  const ofClusters = world.clusters.flatMap((object) =>
    enabledPlugins(object)
      .filter(({ name }) => name === barmanPlugin)
      .map(({ path, parameters }) => ({
        object,
        policyPath: [...path, "parameters", "archivePolicy"],
        stores: storeNames(parameters).map((name) => ({ name, path: [...path, "parameters"] })),
      })),
  );
  const ofServers = world.ofKind("Server").map((object) => ({
    object,
    policyPath: ["spec", "archivePolicy"],
    stores: listAt(object, "spec", "stores").flatMap((item, index) =>
      isRecord(item) && typeof item["name"] === "string"
        ? [{ name: item["name"], path: ["spec", "stores", index, "name"] }]
        : [],
    ),
  }));
  return [...ofClusters, ...ofServers];
}

const archivePolicy: Rule = {
  id: "bad-archive-policy",
  severity: "error",
  summary: "stores that must have WAL, and are not there",
  explanation:
    "`archivePolicy` says which stores must have a WAL file before PostgreSQL may recycle it: `all`, which is the default, `any`, a number, or names of ObjectStores with commas between. With a number that is larger than that of the stores, or a name that none has, nothing would ever be archived.",
  *check(world) {
    for (const { object, policyPath, stores } of storeLists(world)) {
      const names = [...new Set(stores.map(({ name }) => name))];
      const policy = policyOf(valueAt(object.value, policyPath));
      if (policy === undefined || policy === "all" || names.length === 0) continue;
      if (typeof policy === "number") {
        if (policy <= names.length) continue;
        yield {
          object,
          path: policyPath,
          message: `it asks for ${policy} stores, and there ${names.length === 1 ? "is 1" : `are ${names.length}`}: WAL would never count as archived`,
          hint: "Write all, or a number that is not larger.",
        };
        continue;
      }
      const unknown = policy.find((name) => !names.includes(name));
      if (unknown === undefined) continue;
      yield {
        object,
        path: policyPath,
        message: `"${unknown}" is neither all, nor any, nor a number, nor the name of one of its stores`,
        hint: `Its stores are ${names.join(", ")}.`,
      };
    }
  },
};

/** Undefined for what the schema refuses. */
function policyOf(value: unknown): ArchivePolicy | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "string") return value.trim() === "" ? undefined : parseArchivePolicy(value);
  if (!Array.isArray(value)) return undefined;
  return value.filter((name) => typeof name === "string");
}

const storeTwice: Rule = {
  id: "store-twice",
  severity: "error",
  summary: "one store named twice",
  explanation:
    "The same ObjectStore twice is one place, not two copies: losing it loses both. Of each store a Cluster or Server has one repository.",
  *check(world) {
    for (const { object, stores } of storeLists(world)) {
      const seen = new Set<string>();
      for (const { name, path } of stores) {
        if (seen.has(name)) {
          yield {
            object,
            path,
            message: `ObjectStore "${name}" is named twice: that is one copy, not two`,
            hint: "Name another store, or leave it out.",
          };
        }
        seen.add(name);
      }
    }
  },
};

const sameDirectory: Rule = {
  id: "same-data-directory",
  severity: "error",
  summary: "two Servers of one data directory",
  explanation:
    "A data directory is that of one PostgreSQL, and one agent archives its WAL. A second Server of the same directory would never get hold of it. To write to several stores, list them in `spec.stores` of one.",
  *check(world) {
    const first = new Map<string, ManifestObject>();
    for (const object of world.ofKind("Server")) {
      const path = ["spec", "dataDirectory"];
      const directory = textAt(object, ...path)?.replace(/\/+$/, "");
      if (directory === undefined) continue;
      const other = first.get(directory);
      if (other === undefined) {
        first.set(directory, object);
        continue;
      }
      yield {
        object,
        path,
        message: `"${directory}" is also the data directory of Server ${namespaceOf(other)}/${other.name}`,
        ...(destinationsOf(world, object).length > 0
          ? { hint: `List its stores in Server "${other.name}", and leave this one out.` }
          : {}),
      };
    }
  },
};

export const serverRules: readonly Rule[] = [archivePolicy, storeTwice, sameDirectory];
