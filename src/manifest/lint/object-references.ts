import { encryptionSecretAnnotation } from "../encryption-secret.ts";
import { isRecord, valueAt, type FieldPath, type ManifestObject } from "../manifest-object.ts";
import { destinationsOf, externalClustersOf } from "./cluster-stores.ts";
import { listAt, textAt, type World } from "./world.ts";

/** Names by which manifests refer to other objects. */

export interface Reference {
  readonly object: ManifestObject;
  readonly path: FieldPath;
  readonly kind: string;
  readonly name: string;
  /** Of a Secret or ConfigMap. */
  readonly key?: string;
}

/** Everything that an object of these kinds refers to, always in its own namespace. */
export function referencesOf(world: World, object: ManifestObject): readonly Reference[] {
  switch (object.kind) {
    case "Cluster":
      return [
        ...secretReferences(object),
        ...storeReferences(world, object),
        ...recoveryBackup(object),
        ...sqlReferences(object),
      ];
    case "ObjectStore":
      return [...secretReferences(object), ...encryptionReference(object)];
    case "Server":
      return [...secretReferences(object), ...storeReferences(world, object)];
    case "RestoreDrill":
      return [
        ...named(object, ["spec", "cluster"], "Cluster"),
        ...named(object, ["spec", "server"], "Server"),
      ];
    case "Backup":
    case "ScheduledBackup":
      return named(object, ["spec", "cluster"], "Cluster");
    default:
      return [];
  }
}

function named(object: ManifestObject, path: FieldPath, kind: string): readonly Reference[] {
  const name = textAt(object, ...path, "name");
  return name === undefined ? [] : [{ object, path: [...path, "name"], kind, name }];
}

const recoveryBackup = (object: ManifestObject): readonly Reference[] =>
  named(object, ["spec", "bootstrap", "recovery", "backup"], "Backup");

function storeReferences(world: World, cluster: ManifestObject): readonly Reference[] {
  const uses = [
    ...destinationsOf(world, cluster),
    ...externalClustersOf(world, cluster).flatMap(({ use }) => use ?? []),
  ];
  return uses.flatMap(({ path, storeName, via }) =>
    storeName === undefined
      ? []
      : [
          {
            object: cluster,
            path: [...path, via === "server" ? "name" : "parameters"],
            kind: "ObjectStore",
            name: storeName,
          },
        ],
  );
}

/** Which key of it counts is another rule's. */
export function encryptionReference(store: ManifestObject): readonly Reference[] {
  const path = ["metadata", "annotations", encryptionSecretAnnotation];
  const name = textAt(store, ...path);
  return name === undefined ? [] : [{ object: store, path, kind: "Secret", name }];
}

/** Statements for a new database that stand in other objects. */
function sqlReferences(cluster: ManifestObject): readonly Reference[] {
  const initdb = ["spec", "bootstrap", "initdb"];
  const lists = ["postInitSQLRefs", "postInitApplicationSQLRefs", "postInitTemplateSQLRefs"];
  return lists.flatMap((list) =>
    [
      { field: "secretRefs", kind: "Secret" },
      { field: "configMapRefs", kind: "ConfigMap" },
    ].flatMap(({ field, kind }) =>
      listAt(cluster, ...initdb, list, field).flatMap((_item, index) => {
        const path = [...initdb, list, field, index];
        const name = textAt(cluster, ...path, "name");
        const key = textAt(cluster, ...path, "key");
        if (name === undefined) return [];
        return [{ object: cluster, path, kind, name, ...(key === undefined ? {} : { key }) }];
      }),
    ),
  );
}

/** Names of fields whose value is `{name, key}` of a Secret, or `{name}` of one, wherever they stand. */
const secretFields: ReadonlySet<string> = new Set([
  "accessKeyId",
  "secretAccessKey",
  "sessionToken",
  "region",
  "connectionString",
  "storageAccount",
  "storageKey",
  "storageSasToken",
  "applicationCredentials",
  "endpointCA",
  "password",
  "sslCert",
  "sslKey",
  "sslRootCert",
  "secret",
  "superuserSecret",
]);

function secretReferences(object: ManifestObject): readonly Reference[] {
  const found: Reference[] = [];
  const walk = (value: unknown, path: FieldPath): void => {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) walk(item, [...path, index]);
      return;
    }
    if (!isRecord(value)) return;
    for (const [field, item] of Object.entries(value)) {
      const at = [...path, field];
      const name = isRecord(item) ? item["name"] : undefined;
      if (
        !secretFields.has(field) ||
        !isRecord(item) ||
        typeof name !== "string" ||
        item["optional"] === true
      ) {
        walk(item, at);
        continue;
      }
      const key = item["key"];
      found.push({ object, path: at, kind: "Secret", name, ...(typeof key === "string" ? { key } : {}) });
    }
  };
  walk(object.value["spec"], ["spec"]);
  return found;
}

/** Names of the values of a Secret or ConfigMap. */
export function keysOf(object: ManifestObject): readonly string[] {
  return ["data", "stringData", "binaryData"].flatMap((field) => {
    const values = valueAt(object.value, [field]);
    return isRecord(values) ? Object.keys(values) : [];
  });
}
