import { formatPath, isRecord, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { nearest } from "../../nearest.ts";
import { barmanPlugin, destinationsOf, enabledPlugins, externalClustersOf } from "../cluster-stores.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, listAt, namespaceOf, textAt, type World } from "../world.ts";

/** Names that refer to other objects. */

interface Reference {
  readonly object: ManifestObject;
  readonly path: FieldPath;
  readonly kind: string;
  readonly name: string;
  /** Of a Secret or ConfigMap. */
  readonly key?: string;
}

/** Everything that an object of these kinds refers to, always in its own namespace. */
function referencesOf(world: World, object: ManifestObject): readonly Reference[] {
  switch (object.kind) {
    case "Cluster":
      return [...secretReferences(object), ...storeReferences(world, object), ...recoveryBackup(object)];
    case "ObjectStore":
      return secretReferences(object);
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
  return uses.flatMap(({ path, storeName }) =>
    storeName === undefined
      ? []
      : [{ object: cluster, path: [...path, "parameters"], kind: "ObjectStore", name: storeName }],
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

const missingReference: Rule = {
  id: "missing-reference",
  severity: "warning",
  summary: "a name that refers to nothing",
  explanation:
    "A Secret, key, ObjectStore, Cluster or Backup that is named must be in the same namespace: no reference has a namespace. CloudNativePG notices a missing one only when it is used, so the first backup fails, or nothing happens at all. It is an error where one of that name stands in another namespace, or where the Secret is there and lacks the key; otherwise a warning, because it may exist already.",
  *check(world) {
    for (const object of world.objects) {
      const said = new Set<string>();
      for (const reference of referencesOf(world, object)) {
        const finding = findingFor(world, reference);
        if (finding === undefined || said.has(finding.message)) continue;
        said.add(finding.message);
        yield finding;
      }
    }
  },
};

function findingFor(world: World, reference: Reference): Finding | undefined {
  const { object, path, kind, name, key } = reference;
  const namespace = namespaceOf(object);
  const target = world.find(kind, namespace, name);
  if (target !== undefined) {
    if (key === undefined || kind !== "Secret" || keysOf(target).includes(key)) return undefined;
    const near = nearest(key, keysOf(target));
    return {
      object,
      path,
      severity: "error",
      message: `Secret "${name}" has no key "${key}"`,
      hint: near === undefined ? `It has ${keysOf(target).join(", ") || "none"}.` : `Did you mean "${near}"?`,
    };
  }
  if (kind === "Secret" && isMadeByOthers(world, namespace, name, key)) return undefined;
  const elsewhere = world.namespacesOf(kind, name);
  const base = `${kind} "${name}" is not in namespace "${namespace}"`;
  if (elsewhere.length > 0) {
    return {
      object,
      path,
      severity: "error",
      message: `${base}, where it is looked for; there is one in ${elsewhere.map((place) => `"${place}"`).join(", ")}`,
      hint: "References stay within a namespace: put both into the same one.",
    };
  }
  const names = world.ofKind(kind).filter((other) => namespaceOf(other) === namespace);
  const near = nearest(
    name,
    names.map((other) => other.name),
  );
  return {
    object,
    path,
    message: `${base} of these manifests`,
    hint: `It must exist already, or nothing will work.${near === undefined ? "" : ` Did you mean "${near}"?`}`,
  };
}

/** Secrets that CloudNativePG makes for a Cluster of these manifests, that an ExternalSecret or a SealedSecret makes. */
function isMadeByOthers(world: World, namespace: string, name: string, key: string | undefined): boolean {
  const cluster = /^(.+)-(?:app|superuser|ca|server|replication)$/.exec(name)?.[1];
  if (cluster !== undefined && world.find("Cluster", namespace, cluster) !== undefined) return true;
  if (world.find("SealedSecret", namespace, name) !== undefined) return true;
  return madeByExternalSecret(world, namespace, name, key);
}

/** Names of the values of a Secret. */
function keysOf(secret: ManifestObject): readonly string[] {
  return ["data", "stringData"].flatMap((field) => {
    const values = valueAt(secret.value, [field]);
    return isRecord(values) ? Object.keys(values) : [];
  });
}

/** Whether an ExternalSecret makes this Secret; where it takes all keys of its source, any may be among them. */
function madeByExternalSecret(
  world: World,
  namespace: string,
  name: string,
  key: string | undefined,
): boolean {
  return world.ofKind("ExternalSecret").some((external) => {
    if (namespaceOf(external) !== namespace) return false;
    if ((textAt(external, "spec", "target", "name") ?? external.name) !== name) return false;
    if (key === undefined || listAt(external, "spec", "dataFrom").length > 0) return true;
    if (isSetAt(external, "spec", "target", "template")) return true;
    return listAt(external, "spec", "data").some((item) => isRecord(item) && item["secretKey"] === key);
  });
}

const missingNamespace: Rule = {
  id: "missing-namespace",
  severity: "error",
  summary: "a namespace that is nearly the one where everything else is",
  explanation:
    "Objects in a namespace that does not exist are refused, and in a misspelt one that exists they find neither Secrets nor stores. It is said only where what an object refers to stands in a namespace of nearly the same name.",
  *check(world) {
    for (const object of world.objects) {
      const namespace = namespaceOf(object);
      const elsewhere = referencesOf(world, object).flatMap(({ kind, name }) =>
        world.find(kind, namespace, name) === undefined ? world.namespacesOf(kind, name) : [],
      );
      const near = nearest(namespace, elsewhere);
      if (object.namespace === undefined || near === undefined || isNumbered(namespace, near)) continue;
      const count = (place: string): number =>
        world.objects.filter((other) => namespaceOf(other) === place).length;
      if (count(namespace) >= count(near)) continue;
      yield {
        object,
        path: ["metadata", "namespace"],
        message: `namespace "${namespace}" is nearly "${near}", where the objects are that this one refers to`,
        hint: `Did you mean "${near}"?`,
      };
    }
  },
};

/** `db-1` and `db-2`, `dev` and `dev2` are two, not one misspelt. */
function isNumbered(a: string, b: string): boolean {
  return a.replaceAll(/\d+/g, "") === b.replaceAll(/\d+/g, "") || a.slice(0, -1) === b.slice(0, -1);
}

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

const backupMethod: Rule = {
  id: "backup-method",
  severity: "error",
  summary: "a backup by a method that its cluster does not have",
  explanation:
    'The default of `method` is barmanObjectStore, the in-tree one: a Backup or ScheduledBackup without it on a cluster that has only the plugin fails at once on CloudNativePG ("cannot proceed with the backup as the cluster has no backup section"). Write `method: plugin` and `pluginConfiguration.name`. Where `method` is left out, it is chosen from the cluster here.',
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      const method = textAt(object, "spec", "method");
      const cluster = world.find(
        "Cluster",
        namespaceOf(object),
        textAt(object, "spec", "cluster", "name") ?? "",
      );
      if (cluster === undefined) continue;
      const hasInTree = isSetAt(cluster, "spec", "backup", "barmanObjectStore");
      const plugins = enabledPlugins(cluster);
      const plugin = plugins.find(({ name }) => name === barmanPlugin);
      if (method === "volumeSnapshot") {
        yield {
          object,
          path: ["spec", "method"],
          message: "there are no volume snapshots on one machine: this backup cannot be taken here",
        };
      } else if (method === "plugin" && plugins.length === 0) {
        yield {
          object,
          path: ["spec", "method"],
          message: `Cluster "${cluster.name}" has no plugin: the backup would fail`,
          ...(hasInTree ? { hint: "Write method: barmanObjectStore." } : {}),
        };
      } else if (method !== "plugin" && !hasInTree && plugin !== undefined) {
        yield {
          object,
          path: method === undefined ? ["spec"] : ["spec", "method"],
          severity: method === undefined ? "warning" : "error",
          message: `${method === undefined ? "without a method it is barmanObjectStore" : `method is "${method}"`}, and Cluster "${cluster.name}" has only the plugin: on CloudNativePG the backup fails`,
          hint: `Write method: plugin and pluginConfiguration: {name: ${plugin.name}}.`,
          fix: {
            title: "take it with the plugin",
            edits: [
              { kind: "set", object, path: ["spec", "method"], value: "plugin" },
              { kind: "set", object, path: ["spec", "pluginConfiguration", "name"], value: plugin.name },
            ],
          },
        };
      } else if (method !== "plugin" && !hasInTree) {
        yield {
          object,
          path: method === undefined ? ["spec"] : ["spec", "method"],
          message: `Cluster "${cluster.name}" has no barmanObjectStore${plugins.length === 0 ? ", and no plugin" : ""}: the backup would fail`,
        };
      }
    }
  },
};

const pluginConfiguration: Rule = {
  id: "plugin-configuration",
  severity: "error",
  summary: "method plugin without saying which plugin",
  explanation:
    "With `method: plugin`, `pluginConfiguration.name` is required. A ScheduledBackup without it is admitted, and then none of its Backups can be created.",
  *check(world) {
    for (const object of world.ofKind("Backup", "ScheduledBackup")) {
      if (textAt(object, "spec", "method") !== "plugin") continue;
      const path = ["spec", "pluginConfiguration"];
      const name = textAt(object, ...path, "name");
      if (name !== undefined) {
        const cluster = world.find(
          "Cluster",
          namespaceOf(object),
          textAt(object, "spec", "cluster", "name") ?? "",
        );
        const plugins = cluster === undefined ? [] : enabledPlugins(cluster);
        if (plugins.length > 0 && !plugins.some((plugin) => plugin.name === name)) {
          yield {
            object,
            path: [...path, "name"],
            message: `Cluster "${cluster?.name ?? ""}" has no plugin "${name}": the backup would fail`,
            hint: `It has ${plugins.map((plugin) => plugin.name).join(", ")}.`,
          };
        }
        if (isSetAt(object, ...path, "parameters")) {
          yield {
            object,
            path: [...path, "parameters"],
            severity: "warning",
            message: `${formatPath([...path, "parameters"])} are not read by ${barmanPlugin}`,
          };
        }
        continue;
      }
      yield {
        object,
        path: ["spec"],
        message: "method is plugin, and pluginConfiguration.name is missing",
        fix: {
          title: `name ${barmanPlugin}`,
          edits: [{ kind: "set", object, path: [...path, "name"], value: barmanPlugin }],
        },
      };
    }
  },
};

const unusedSecretKey: Rule = {
  id: "unused-secret-key",
  severity: "warning",
  summary: "a key of a Secret that looks like a setting and is not read",
  explanation:
    "Only keys that a manifest names are read. An endpoint or region in a Secret has no effect unless the configuration refers to it: the endpoint belongs to `endpointURL`, the region to `s3Credentials.region`.",
  *check(world) {
    const used = new Set(
      world.objects.flatMap((object) =>
        referencesOf(world, object).map(({ name, key }) => `${namespaceOf(object)}/${name}/${key ?? ""}`),
      ),
    );
    for (const secret of world.ofKind("Secret")) {
      const prefix = `${namespaceOf(secret)}/${secret.name}/`;
      if (![...used].some((id) => id.startsWith(prefix))) continue;
      for (const field of ["data", "stringData"]) {
        for (const key of Object.keys((valueAt(secret.value, [field]) as object | undefined) ?? {})) {
          if (used.has(prefix + key) || !/endpoint|region|bucket|url/i.test(key)) continue;
          yield {
            object: secret,
            path: [field, key],
            message: `key "${key}" is not read by anybody`,
            hint: /endpoint|url/i.test(key)
              ? "The endpoint belongs to endpointURL of the store's configuration."
              : "Refer to it where it is meant, or leave it out.",
          };
        }
      }
    }
  },
};

const unusedSecret: Rule = {
  id: "unused-secret",
  severity: "warning",
  summary: "a user's password that no Cluster refers to",
  explanation:
    "A Secret of type kubernetes.io/basic-auth makes no user by itself. It is the password of a database's owner only where a Cluster names it in `bootstrap.initdb.secret` (with `owner` the same name), or in `superuserSecret` or `managed.roles`.",
  *check(world) {
    const used = new Set(
      world.objects.flatMap((object) =>
        referencesOf(world, object).map(({ name }) => `${namespaceOf(object)}/${name}`),
      ),
    );
    for (const object of world.ofKind("Secret")) {
      if (textAt(object, "type") !== "kubernetes.io/basic-auth") continue;
      if (used.has(`${namespaceOf(object)}/${object.name}`) || isNamedByRoles(world, object)) continue;
      yield {
        object,
        path: ["metadata", "name"],
        message: `no Cluster refers to "${object.name}": its user is not made`,
        hint: "Name it in spec.bootstrap.initdb.secret, with owner as its user.",
      };
    }
  },
};

function isNamedByRoles(world: World, { name }: ManifestObject): boolean {
  return world.clusters.some((cluster) =>
    listAt(cluster, "spec", "managed", "roles").some(
      (role) => isRecord(role) && isRecord(role["passwordSecret"]) && role["passwordSecret"]["name"] === name,
    ),
  );
}

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

export const referenceRules: readonly Rule[] = [
  missingReference,
  missingNamespace,
  missingExternalCluster,
  emptyExternalCluster,
  backupMethod,
  pluginConfiguration,
  unusedSecretKey,
  unusedSecret,
  unusedExternalCluster,
];
