/** What can be said of an S3 store in a configuration beyond its place, and what of it is asked for with every object. */
import { z } from "zod";
import { EngineError } from "../common/errors.ts";
import { parseStoreUrl, type OpenStoreOptions } from "../storage/open-store.ts";
import { chooseS3Profile, s3ProfileNames } from "../storage/s3/s3-profile.ts";
import { refusedWishes, type RefusedWish } from "../storage/s3/s3-wishes.ts";
import { objectHeaders } from "./object-headers.ts";
import type { RepositorySettings } from "./repository-settings.ts";

const serverSideEncryption = z.enum(["AES256", "aws:kms"]);
const storageClass = z
  .string()
  .regex(/^[A-Z0-9_-]+$/, "is no storage class: write it as the store does, STANDARD_IA for example");

export const s3SettingsShape = {
  endpoint: z.string().optional(),
  region: z.string().optional(),
  pathStyle: z.boolean().optional(),
  caFile: z.string().optional(),
  /** What kind of server it is, where its address does not say it. */
  profile: z.enum(s3ProfileNames).optional(),
  /**
   * A JSON file that nobody else may read; it is read again when it changes. For S3
   * `{"accessKeyId": …, "secretAccessKey": …, "sessionToken": …}`; without it, and without the two below: AWS' usual places.
   * For Google the file that Google gave; without it: Google's usual places.
   */
  credentialsFile: z.string().optional(),
  /** A role that is assumed with the token in a file, which an identity provider renews. */
  webIdentity: z
    .strictObject({
      roleArn: z.string(),
      tokenFile: z.string(),
      sessionName: z.string().optional(),
      /** Of the token service, where it is not AWS' own. */
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
    })
    .optional(),
  /** A profile of `~/.aws`. */
  awsProfile: z.string().optional(),
  /** `http://host:port`, or `direct`. Default: `HTTPS_PROXY` with `NO_PROXY`. */
  proxy: z.string().optional(),
  /** A file of mode 0600 with the proxy's `user:password`. */
  proxyCredentialsFile: z.string().optional(),
  /** The store encrypts what is written, all of it or each as said, and holds the key. Default: as the bucket says. */
  serverSideEncryption: z
    .union([
      serverSideEncryption,
      z.strictObject({ wal: serverSideEncryption.optional(), base: serverSideEncryption.optional() }),
    ])
    .optional(),
  /** With `aws:kms`: which key. Default: the account's own of the service. */
  kmsKeyId: z.string().optional(),
  /** All of it or each as said. Default: as the bucket says. */
  storageClass: z
    .union([storageClass, z.strictObject({ wal: storageClass.optional(), base: storageClass.optional() })])
    .optional(),
  /** Tags that every written object gets; history files get `historyTags` instead where those are given. */
  objectTags: z.record(z.string(), z.string()).optional(),
  historyTags: z.record(z.string(), z.string()).optional(),
};

const connectionKeys = [
  "endpoint",
  "region",
  "pathStyle",
  "caFile",
  "profile",
  "credentialsFile",
  "webIdentity",
  "awsProfile",
  "proxy",
  "proxyCredentialsFile",
] as const;

/** The settings as an S3 store is opened with them. */
export function s3StoreOptions(settings: RepositorySettings): NonNullable<OpenStoreOptions["s3"]> {
  const given = connectionKeys.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]]));
  return { ...Object.fromEntries(given), headersOf: objectHeaders(settings) };
}

/** What is asked of the store that it does not do. Empty for stores of other kinds. Throws `usage` for a URL that is none. */
export function refusedS3Settings(settings: RepositorySettings): readonly RefusedWish[] {
  const location = parseStoreUrl(settings.url);
  if (location.kind !== "s3") return [];
  const { endpoint = settings.endpoint, profile = settings.profile } = location.options;
  return refusedWishes(chooseS3Profile(endpoint, profile), {
    objectTags: [settings.objectTags, settings.historyTags].some(
      (tags) => Object.keys(tags ?? {}).length > 0,
    ),
    encryption: eachOf(settings.serverSideEncryption),
    kmsKeyId: settings.kmsKeyId,
    storageClasses: eachOf(settings.storageClass),
  });
}

/** Throws `config` for the first wish that the store does not fulfil: every write would be refused. */
export function requireS3Settings(name: string, settings: RepositorySettings): void {
  const [first] = refusedS3Settings(settings);
  if (first === undefined) return;
  throw new EngineError("config", `repository "${name}" cannot work so: ${first.problem}`, {
    hint: first.hint,
  });
}

function eachOf<T extends string>(
  value: T | { readonly wal?: T | undefined; readonly base?: T | undefined } | undefined,
): readonly T[] {
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  return [value.wal, value.base].filter((item) => item !== undefined);
}
