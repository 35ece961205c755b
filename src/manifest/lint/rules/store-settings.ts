import { EngineError } from "../../../common/errors.ts";
import { parseStoreUrl } from "../../../storage/open-store.ts";
import { formatPath, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { configurations, destinationsOf, externalClustersOf, serverNamePath } from "../cluster-stores.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, recordAt, textAt, type World } from "../world.ts";

/** Settings of a store that are written where nobody reads them, or in a form that is refused. */

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
    "An ObjectStore may serve many clusters, so it has no serverName; CloudNativePG refuses one. It is a parameter of the plugin in the Cluster, or stands beside the store's name in a Server.",
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
  const users = world.writers
    .flatMap((writer) => [
      ...destinationsOf(world, writer),
      ...externalClustersOf(world, writer).flatMap(({ use }) => use ?? []),
    ])
    .filter((use) => use.store === store);
  const [user] = users;
  const value = textAt(store, ...path);
  if (users.length !== 1 || user === undefined || user.isServerNameGiven || value === undefined) return {};
  return {
    fix: {
      title: `move it to ${user.via === "server" ? "the list of stores" : "the parameters of the plugin"} in ${user.cluster.kind} "${user.cluster.name}"`,
      edits: [
        { kind: "remove", object: store, path },
        { kind: "set", object: user.cluster, path: serverNamePath(user), value },
      ],
    },
  };
}

const badAddress: Rule = {
  id: "bad-store-address",
  severity: "error",
  summary: "an address without its scheme",
  explanation:
    "`destinationPath` begins with s3://, gs://, or is the https address of an Azure container; `endpointURL` begins with http:// or https://. Without a scheme the first backup fails, and so it does with an https address that names no container.",
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
      const problem = destination === undefined ? undefined : azureProblem(destination);
      if (problem !== undefined && !isSetAt(object, ...path, "googleCredentials")) {
        yield { object, path: [...path, "destinationPath"], ...problem };
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

/** What is wrong with an address that could only be that of a container of Azure; Google's console has such ones as well. */
function azureProblem(destination: string): Pick<Finding, "message" | "hint"> | undefined {
  if (!/^(?:https?|azure):\/\//.test(destination)) return undefined;
  try {
    parseStoreUrl(destination);
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
}

const serverSideEncryption: Rule = {
  id: "server-side-encryption",
  severity: "info",
  summary: "encryption that the provider holds the key of",
  explanation:
    "`encryption: AES256` and `aws:kms` ask the store to encrypt on its side: whoever may read the bucket reads plain data, and the provider holds the key. It is honoured by S3; Azure does so unasked. It is no encryption of your own.",
  *check(world) {
    for (const { object, path } of configurations(world)) {
      for (const part of ["wal", "data"]) {
        const at = [...path, part, "encryption"];
        const value = textAt(object, ...at);
        if (value === undefined) continue;
        yield {
          object,
          path: at,
          message: recordAt(object, ...path, "azureCredentials")
            ? `"${value}" is a wish that S3 knows: Azure encrypts everything anyway, and holds the key`
            : `"${value}" is encryption by the store, which holds the key: whoever may read the bucket reads plain data`,
        };
        break;
      }
    }
  },
};

export const storeSettingRules: readonly Rule[] = [
  misplacedEndpoint,
  misplacedRegion,
  regionNotSecret,
  serverNameInStore,
  badAddress,
  serverSideEncryption,
];
