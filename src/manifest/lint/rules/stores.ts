import { formatPath, isRecord, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
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
import type { Finding, ObjectEdit, Rule } from "../rule.ts";
import { isSetAt, listAt, namespaceOf, recordAt, textAt, World } from "../world.ts";

/** Stores: what is written where, for how long, and by whom. */

interface StoreConfiguration {
  readonly object: ManifestObject;
  readonly path: FieldPath;
}

function configurations(world: World): readonly StoreConfiguration[] {
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

const unusedStore: Rule = {
  id: "unused-store",
  severity: "warning",
  summary: "an ObjectStore that no cluster writes to",
  explanation:
    "An ObjectStore is only a description. Nothing is written to it unless a Cluster names it in the parameters of its plugin, and a plugin entry names one: a second ObjectStore beside it never receives a byte, however it is called. An entry in externalClusters is a source to read from, never a copy. To write to several stores at once, name the further ones with `additionalObjectNames: minio-store,gcs-store` in the plugin's parameters; CloudNativePG ignores that parameter, so the manifest works there too.",
  *check(world) {
    const written = new Set(
      world.clusters.flatMap((cluster) => destinationsOf(world, cluster).map(({ store }) => store)),
    );
    const sources = world.clusters.flatMap((cluster) =>
      externalClustersOf(world, cluster).flatMap(({ use }) => use?.store ?? []),
    );
    for (const object of world.stores) {
      if (written.has(object)) continue;
      const isRead = sources.includes(object);
      const writer = world.clusters.find(
        (cluster) =>
          namespaceOf(cluster) === namespaceOf(object) && destinationsOf(world, cluster).length > 0,
      );
      const plugin = writer && barmanEntry(writer);
      const further = plugin?.parameters["additionalObjectNames"];
      const value = typeof further === "string" ? `${further},${object.name}` : object.name;
      yield {
        object,
        path: ["metadata", "name"],
        ...(isRead ? { severity: "info" as const } : {}),
        message: isRead
          ? `ObjectStore "${object.name}" is only read from: no cluster of these manifests writes to it`
          : `ObjectStore "${object.name}" is not used by any cluster as a destination: nothing will be written to it`,
        ...(writer === undefined || plugin === undefined
          ? {}
          : {
              hint: `To make it a further repository of Cluster "${writer.name}": ${formatPath(plugin.path)}.parameters.additionalObjectNames: ${value}`,
            }),
      };
    }
  },
};

function barmanEntry(cluster: ManifestObject): PluginEntry | undefined {
  return enabledPlugins(cluster).find(({ name }) => name === barmanPlugin);
}

const noRetention: Rule = {
  id: "no-retention",
  severity: "warning",
  summary: "a store in use where nothing is ever deleted",
  explanation:
    "Without a retention policy every backup and all WAL stay for ever, and the bill grows. Write `retentionPolicy: 30d` (or weeks, `4w`, or months, `6m`) into the ObjectStore's spec: the newest backup from before the window and its WAL stay too, so that every moment within the window can be returned to.",
  *check(world) {
    const seen = new Set<ManifestObject>();
    for (const use of world.clusters.flatMap((cluster) => destinationsOf(world, cluster))) {
      const object = use.store ?? (use.via === "in-tree" ? use.cluster : undefined);
      if (object === undefined || seen.has(object)) continue;
      seen.add(object);
      const path = use.store === undefined ? ["spec", "backup"] : ["spec"];
      if (isSetAt(object, ...path, "retentionPolicy")) continue;
      // `retention-in-cluster` says it, and where it goes.
      if (use.via === "plugin" && hasRetentionBesidePlugin(use.cluster)) continue;
      if (hasMisplacedRetention(object)) continue;
      yield {
        object,
        path,
        message: "it has no retentionPolicy: nothing is ever deleted",
        hint: `Write ${formatPath([...path, "retentionPolicy"])}: 30d, for example.`,
      };
    }
  },
};

function hasRetentionBesidePlugin(cluster: ManifestObject): boolean {
  return (
    isSetAt(cluster, "spec", "backup", "retentionPolicy") &&
    !isSetAt(cluster, "spec", "backup", "barmanObjectStore")
  );
}

function hasMisplacedRetention(object: ManifestObject): boolean {
  return misplacedRetentions(new World([object])).length > 0;
}

const retentionInCluster: Rule = {
  id: "retention-in-cluster",
  severity: "warning",
  summary: "a retention policy in the Cluster, where the plugin does not look",
  explanation:
    "`spec.backup.retentionPolicy` is read by the in-tree support only. With the plugin CloudNativePG warns and ignores it, and the store grows for ever. It belongs into the ObjectStore's `spec.retentionPolicy`. Here it is applied to the cluster's stores that have none of their own.",
  *check(world) {
    for (const cluster of world.clusters) {
      const path = ["spec", "backup", "retentionPolicy"];
      const policy = textAt(cluster, ...path);
      const uses = destinationsOf(world, cluster).filter(({ via }) => via === "plugin");
      if (policy === undefined || uses.length === 0 || !hasRetentionBesidePlugin(cluster)) continue;
      yield {
        object: cluster,
        path,
        message: `"${policy}" is not read where the plugin archives: CloudNativePG deletes nothing`,
        hint: "Write it into the ObjectStore's spec.retentionPolicy.",
        ...moveToStores(world, cluster, policy),
      };
    }
  },
};

/** Only where every store is at hand, and nobody wants another policy of it. */
function moveToStores(world: World, cluster: ManifestObject, policy: string): Pick<Finding, "fix"> {
  const path = ["spec", "retentionPolicy"];
  const stores = destinationsOf(world, cluster).map(({ store }) => store);
  const edits: ObjectEdit[] = [
    { kind: "remove", object: cluster, path: ["spec", "backup", "retentionPolicy"] },
  ];
  for (const object of new Set(stores)) {
    if (object === undefined) return {};
    const others = world.clusters.filter((other) =>
      destinationsOf(world, other).some(({ store }) => store === object),
    );
    const wanted = [
      textAt(object, ...path),
      ...others.map((other) => textAt(other, "spec", "backup", "retentionPolicy")),
    ];
    if (wanted.some((other) => other !== undefined && other !== policy)) return {};
    if (!isSetAt(object, ...path)) edits.push({ kind: "set", object, path, value: policy });
  }
  return { fix: { title: "move it to the ObjectStore", edits } };
}

interface Misplaced {
  readonly object: ManifestObject;
  readonly path: FieldPath;
}

/** Fields called retention where none is read. */
function misplacedRetentions(world: World): readonly Misplaced[] {
  const inBackups = world
    .ofKind("Backup", "ScheduledBackup")
    .map((object) => ({ object, path: ["spec", "retentionPolicy"] as FieldPath }));
  const rests = [["wal", "retention"], ["data", "retention"], ["retention"], ["retentionPolicy"]];
  const inStores = configurations(world).flatMap(({ object, path }) =>
    rests.map((rest) => ({ object, path: [...path, ...rest] as FieldPath })),
  );
  return [...inBackups, ...inStores].filter(({ object, path }) => valueAt(object.value, path) !== undefined);
}

const misplacedRetention: Rule = {
  id: "misplaced-retention",
  severity: "error",
  summary: "a retention where none is read",
  explanation:
    "There is one retention policy, of the whole store: `spec.retentionPolicy` of an ObjectStore (`spec.backup.retentionPolicy` in-tree). `data.retention`, `wal.retention` and a `retentionPolicy` of a Backup are fields of nobody: with them nothing is ever deleted. WAL is kept as long as a backup needs it; keeping it for a shorter time would leave backups that cannot be brought to any moment.",
  *check(world) {
    for (const { object, path } of misplacedRetentions(world)) {
      const message = `${formatPath(path)} is not read by anybody: nothing is deleted`;
      const isSource = path[1] === "externalClusters";
      if (isSource || path.includes("wal")) {
        yield {
          object,
          path,
          message,
          hint: isSource
            ? "A source is only read from; leave this out."
            : "WAL is kept as long as the backups need it; leave this out.",
          fix: { title: "remove it", edits: [{ kind: "remove", object, path }] },
        };
        continue;
      }
      const to =
        object.kind === "ObjectStore" ? ["spec", "retentionPolicy"] : ["spec", "backup", "retentionPolicy"];
      const isBackup = object.kind === "Backup" || object.kind === "ScheduledBackup";
      yield {
        object,
        path,
        message,
        hint: isBackup
          ? "Retention is the store's: spec.retentionPolicy of the ObjectStore."
          : `It belongs to ${formatPath(to)}.`,
        ...(isBackup || isSetAt(object, ...to)
          ? {}
          : {
              fix: {
                title: `move it to ${formatPath(to)}`,
                edits: [{ kind: "move", object, from: path, to }],
              },
            }),
      };
    }
  },
};

const misplacedEndpoint: Rule = {
  id: "misplaced-endpoint",
  severity: "error",
  summary: "an endpoint where none is read, so that backups go to AWS",
  explanation:
    "The S3 endpoint is `endpointURL` of the configuration. `s3Credentials.endpoint` and `endpoint` are fields of nobody: without `endpointURL` the requests go to AWS, with the keys of another provider.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      for (const rest of [["s3Credentials", "endpoint"], ["s3Credentials", "endpointURL"], ["endpoint"]]) {
        const from = [...path, ...rest];
        const value = valueAt(object.value, from);
        if (value === undefined) continue;
        const to = [...path, "endpointURL"];
        const isTaken = isSetAt(object, ...to);
        yield {
          object,
          path: from,
          message: `the endpoint ${JSON.stringify(value)} is not read here${isTaken ? "" : ": requests would go to AWS"}`,
          hint: isTaken ? "Leave it out: endpointURL is set." : `It belongs to ${formatPath(to)}.`,
          fix: isTaken
            ? { title: "remove it", edits: [{ kind: "remove", object, path: from }] }
            : { title: `move it to ${formatPath(to)}`, edits: [{ kind: "move", object, from, to }] },
        };
      }
    }
  },
};

const misplacedRegion: Rule = {
  id: "misplaced-region",
  severity: "error",
  summary: "a region where none is read",
  explanation:
    "The region is `s3Credentials.region`, and like all credentials it refers to a key of a Secret. Cloudflare R2's is `auto`.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      const from = [...path, "region"];
      if (valueAt(object.value, from) === undefined) continue;
      yield {
        object,
        path: from,
        message: "the region is not read here",
        hint: `It belongs to ${formatPath([...path, "s3Credentials", "region"])}, as name and key of a Secret.`,
      };
    }
  },
};

const regionNotSecret: Rule = {
  id: "region-not-secret",
  severity: "warning",
  summary: "a region as plain text, which CloudNativePG refuses",
  explanation:
    "`s3Credentials.region` is a reference to a key of a Secret, as everything in s3Credentials. CloudNativePG refuses a plain text. It is accepted here.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      const at = [...path, "s3Credentials", "region"];
      const region = textAt(object, ...at);
      if (region === undefined) continue;
      const keys = recordAt(object, ...path, "s3Credentials", "accessKeyId");
      const secret = typeof keys?.["name"] === "string" ? keys["name"] : "s3-credentials";
      yield {
        object,
        path: at,
        message: `region "${region}" is a plain text: CloudNativePG wants the name and key of a Secret`,
        hint: `Put ${region} into the Secret as REGION, and write region: {name: ${secret}, key: REGION}.`,
      };
    }
  },
};

const serverNameInStore: Rule = {
  id: "server-name-in-store",
  severity: "error",
  summary: "a serverName in an ObjectStore",
  explanation:
    "An ObjectStore may serve many clusters, so it has no serverName; CloudNativePG refuses one. It is a parameter of the plugin in the Cluster.",
  *check(world) {
    for (const object of world.stores) {
      const path = ["spec", "configuration", "serverName"];
      if (valueAt(object.value, path) === undefined) continue;
      yield {
        object,
        path,
        message: "an ObjectStore has no serverName",
        hint: "Write it into the parameters of the plugin in the Cluster.",
        ...moveToOnlyUser(world, object, path),
      };
    }
  },
};

/** Only where one entry of one cluster uses the store and names no server: then it is clear whose name it was. */
function moveToOnlyUser(world: World, store: ManifestObject, path: FieldPath): Pick<Finding, "fix"> {
  const users = world.clusters
    .flatMap((cluster) => [
      ...destinationsOf(world, cluster),
      ...externalClustersOf(world, cluster).flatMap(({ use }) => use ?? []),
    ])
    .filter((use) => use.store === store);
  const [user] = users;
  const value = textAt(store, ...path);
  if (users.length !== 1 || user === undefined || user.isServerNameGiven || value === undefined) return {};
  return {
    fix: {
      title: `move it to the parameters of the plugin in Cluster "${user.cluster.name}"`,
      edits: [
        { kind: "remove", object: store, path },
        { kind: "set", object: user.cluster, path: [...user.path, "parameters", "serverName"], value },
      ],
    },
  };
}

const credentialProblems: Rule = {
  id: "credentials",
  severity: "error",
  summary: "credentials that are missing, or contradict each other",
  explanation:
    "A store has exactly one of s3Credentials, azureCredentials and googleCredentials. S3: both keys, or inheritFromIAMRole. Azure: a connection string alone; or a storage account with exactly one of key, SAS token, Azure AD and default credentials. Google: a key, or gkeEnvironment. CloudNativePG's plugin does not look at this before the first backup fails.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      const configuration = recordAt(object, ...path) ?? {};
      for (const message of credentialErrors(configuration)) yield { object, path, message };
    }
  },
};

function credentialErrors(configuration: Readonly<Record<string, unknown>>): readonly string[] {
  const given = ["azureCredentials", "s3Credentials", "googleCredentials"].filter((name) =>
    isRecord(configuration[name]),
  );
  const destination = configuration["destinationPath"];
  const isLocal = typeof destination === "string" && /^(file:|\/)/.test(destination);
  if (given.length === 0) {
    return isLocal
      ? []
      : [
          "missing credentials: one and only one of azureCredentials, s3Credentials and googleCredentials is required",
        ];
  }
  if (given.length > 1) return [`too many credentials: ${given.join(" and ")}`];
  const part = configuration[given[0] ?? ""];
  if (!isRecord(part)) return [];
  if (given[0] === "s3Credentials") return s3Errors(part);
  return given[0] === "azureCredentials" ? azureErrors(part) : googleErrors(part);
}

function s3Errors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const hasId = part["accessKeyId"] !== undefined;
  const hasSecret = part["secretAccessKey"] !== undefined;
  const hasRole = part["inheritFromIAMRole"] === true;
  if (hasId !== hasSecret) return ["both accessKeyId and secretAccessKey must be given"];
  if (hasId && hasRole) return ["keys together with inheritFromIAMRole: only one of them may be given"];
  if (!hasId && !hasRole) return ["s3Credentials has neither keys nor inheritFromIAMRole"];
  return [];
}

function azureErrors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const has = (name: string): boolean => part[name] !== undefined && part[name] !== false;
  const ways = ["storageKey", "storageSasToken", "inheritFromAzureAD", "useDefaultAzureCredentials"].filter(
    has,
  );
  if (has("connectionString")) {
    return ways.length > 0 || has("storageAccount")
      ? ["with a connectionString the other parameters must be empty"]
      : [];
  }
  if (ways.length !== 1) {
    return [
      "without a connectionString exactly one of storageKey, storageSasToken, inheritFromAzureAD and useDefaultAzureCredentials is required",
    ];
  }
  const needsAccount = has("storageKey") || has("storageSasToken");
  return needsAccount && !has("storageAccount")
    ? ["storageAccount must be given with a key or SAS token"]
    : [];
}

function googleErrors(part: Readonly<Record<string, unknown>>): readonly string[] {
  const hasKey = part["applicationCredentials"] !== undefined;
  if (part["gkeEnvironment"] === true) {
    return hasKey ? ["with gkeEnvironment, applicationCredentials must not be given"] : [];
  }
  return hasKey ? [] : ["without gkeEnvironment, applicationCredentials must be given"];
}

const badAddress: Rule = {
  id: "bad-store-address",
  severity: "error",
  summary: "an address without its scheme",
  explanation:
    "`destinationPath` begins with s3://, gs://, or is the https address of an Azure container; `endpointURL` begins with http:// or https://. Without a scheme the first backup fails.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      const destination = textAt(object, ...path, "destinationPath");
      if (destination !== undefined && !/^(s3|gs|https?|azure|file):\/\/|^\//.test(destination)) {
        yield {
          object,
          path: [...path, "destinationPath"],
          message: `"${destination}" has no scheme`,
          hint: `Write s3://${destination}, for example.`,
        };
      }
      const endpoint = textAt(object, ...path, "endpointURL");
      if (endpoint !== undefined && !/^https?:\/\//.test(endpoint)) {
        yield {
          object,
          path: [...path, "endpointURL"],
          message: `"${endpoint}" has no scheme`,
          hint: `Write https://${endpoint}, for example.`,
        };
      }
    }
  },
};

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
  summary: "two clusters that write into one archive",
  explanation:
    "Two PostgreSQL systems must never share destination path and server name: their WAL files have the same names, and one would destroy the other's archive. Give one of them another serverName.",
  *check(world) {
    const first = new Map<string, StoreUse>();
    for (const use of world.clusters.flatMap((cluster) => destinationsOf(world, cluster))) {
      const place = placeOf(use);
      if (place === undefined) continue;
      const id = `${place} ${use.serverName}`;
      const other = first.get(id);
      if (other === undefined) {
        first.set(id, use);
        continue;
      }
      if (other.cluster === use.cluster) continue;
      const title = `${namespaceOf(other.cluster)}/${other.cluster.name}`;
      yield {
        object: use.cluster,
        path: use.path,
        message: `it writes to ${destinationPathOf(use) ?? "the same place"} as server "${use.serverName}", and so does Cluster ${title}`,
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
      const isRestored = isSetAt(object, "spec", "bootstrap", "recovery");
      yield {
        object,
        path: ["spec"],
        message: isRestored
          ? "the restored cluster archives nowhere: it has no plugin, and externalClusters is only where it comes from"
          : "it archives nowhere: it has neither the plugin nor a barmanObjectStore",
        hint: `Add the plugin ${barmanPlugin} with parameters.barmanObjectName.`,
      };
    }
  },
};

const serverSideEncryption: Rule = {
  id: "server-side-encryption",
  severity: "info",
  summary: "encryption that the provider holds the key of",
  explanation:
    "`encryption: AES256` and `aws:kms` ask the store to encrypt on its side: whoever may read the bucket reads plain data, and the provider holds the key. It is honoured. It is no encryption of your own.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      for (const part of ["wal", "data"]) {
        const at = [...path, part, "encryption"];
        const value = textAt(object, ...at);
        if (value === undefined) continue;
        yield {
          object,
          path: at,
          message: `"${value}" is encryption by the store, which holds the key: whoever may read the bucket reads plain data`,
        };
        break;
      }
    }
  },
};

export const storeRules: readonly Rule[] = [
  unusedStore,
  noRetention,
  retentionInCluster,
  misplacedRetention,
  misplacedEndpoint,
  misplacedRegion,
  regionNotSecret,
  serverNameInStore,
  credentialProblems,
  badAddress,
  pluginAndInTree,
  twoWriters,
  archivesNowhere,
  serverSideEncryption,
];
