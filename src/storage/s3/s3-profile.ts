/**
 * What is known of the makers of S3 servers, as data: each states only where it differs from what S3 promises. An endpoint
 * of nobody known is treated as S3. Sources: the makers' own pages on S3 compatibility.
 */
import type { StoreRemark } from "../object-store.ts";
import type { ConditionalCreate } from "./s3-condition.ts";

export const s3ProfileNames = [
  "aws",
  "r2",
  "b2",
  "gcs",
  "minio",
  "ceph",
  "spaces",
  "wasabi",
  "hetzner",
  "scaleway",
  "ovh",
] as const;
export type S3ProfileName = (typeof s3ProfileNames)[number];

/** How one kind of server differs. */
export interface S3Profile {
  /** For messages. */
  readonly title: string;
  /** What requests are signed for unless a region is given. */
  readonly region?: string;
  /** `never` where the header is refused or ignored for certain. */
  readonly conditionalCreate: ConditionalCreate;
  /** Many objects may be deleted with one request. */
  readonly batchDelete: boolean;
  readonly maxParts: number;
  /** Objects may carry tags. */
  readonly objectTags: boolean;
  /** `always`: everything is encrypted without being asked, and the header that asks for AES256 is refused. */
  readonly encryption: "on request" | "always";
  /** Keys of a key service may be named. */
  readonly kms: boolean;
  /** The classes that it has, where it has others than AWS or fewer. */
  readonly storageClasses?: readonly string[];
  readonly remarks: readonly StoreRemark[];
}

interface ProfileFacts extends Omit<Partial<S3Profile>, "title"> {
  readonly title: string;
  /** Endpoints' host names; a group `region` is the region. */
  readonly host?: RegExp;
}

const facts: Readonly<Record<S3ProfileName, ProfileFacts>> = {
  aws: {
    title: "Amazon S3",
    host: /(?:^|\.)s3(?:-fips)?[.-](?:dualstack\.)?(?<region>[a-z]{2,3}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?$|(?:^|\.)s3\.amazonaws\.com$/,
  },
  r2: {
    title: "Cloudflare R2",
    host: /(?:^|\.)r2\.cloudflarestorage\.com$/,
    region: "auto",
    objectTags: false,
    encryption: "always",
    kms: false,
    storageClasses: ["STANDARD", "STANDARD_IA"],
    remarks: [
      {
        topic: "multipart",
        text: "all parts of an upload but the last must have the same size, and Tidemark's have",
      },
    ],
  },
  b2: {
    title: "Backblaze B2",
    host: /(?:^|\.)s3\.(?<region>[a-z]{2}-[a-z]+-\d+)\.backblazeb2\.com$/,
    conditionalCreate: "never",
    objectTags: false,
    kms: false,
    storageClasses: ["STANDARD"],
    remarks: [
      {
        topic: "delete",
        text: "deleted objects are hidden, and stay as older versions until the bucket's lifecycle removes them",
        hint: 'Set the bucket\'s lifecycle to "Keep only the last version of the file", or they are paid for without end.',
      },
    ],
  },
  gcs: {
    title: "Google Cloud Storage's S3 door",
    host: /(?:^|\.)storage\.googleapis\.com$/,
    region: "auto",
    conditionalCreate: "never",
    batchDelete: false,
    objectTags: false,
    encryption: "always",
    kms: false,
    storageClasses: ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"],
    remarks: [
      { topic: "credentials", text: "it takes HMAC keys of a service account, not the account's JSON key" },
    ],
  },
  minio: { title: "MinIO", storageClasses: ["STANDARD", "REDUCED_REDUNDANCY"] },
  ceph: { title: "the Ceph object gateway" },
  spaces: {
    title: "DigitalOcean Spaces",
    host: /(?:^|\.)(?<region>[a-z]{3}\d)\.digitaloceanspaces\.com$/,
    storageClasses: ["STANDARD"],
  },
  wasabi: {
    title: "Wasabi",
    host: /(?:^|\.)s3\.(?:(?<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.)?wasabisys\.com$/,
    storageClasses: ["STANDARD"],
  },
  hetzner: {
    title: "Hetzner Object Storage",
    host: /(?:^|\.)(?<region>[a-z]{3}\d)\.your-objectstorage\.com$/,
  },
  scaleway: {
    title: "Scaleway Object Storage",
    host: /(?:^|\.)s3\.(?<region>[a-z]{2}-[a-z]{3})\.scw\.cloud$/,
    maxParts: 1000,
    storageClasses: ["STANDARD", "ONEZONE_IA"],
    remarks: [
      {
        topic: "multipart",
        text: "an object has at most 1000 parts instead of 10 000; Tidemark keeps to that",
      },
    ],
  },
  ovh: {
    title: "OVHcloud Object Storage",
    host: /(?:^|\.)s3\.(?<region>[a-z0-9-]+)\.(?:io|perf)\.cloud\.ovh\.(?:net|us)$/,
  },
};

/** S3's own limit. */
const maxS3Parts = 10_000;

/**
 * The profile of an endpoint, or the one that is named. Without either it is AWS', whose region the SDK finds; an endpoint
 * that is not known gets one that assumes nothing.
 */
export function chooseS3Profile(endpoint: string | undefined, named: S3ProfileName | undefined): S3Profile {
  if (endpoint === undefined) return profileOf(facts[named ?? "aws"]);
  const host = URL.parse(endpoint)?.hostname ?? "";
  const found = Object.entries(facts).find(([, { host: pattern }]) => pattern?.test(host) === true);
  const name = named ?? (found?.[0] as S3ProfileName | undefined);
  if (name === undefined) return profileOf({ title: "an S3 server" });
  const known = facts[name];
  const region = known.region ?? known.host?.exec(host)?.groups?.["region"];
  return profileOf({ ...known, ...(region === undefined ? {} : { region }) });
}

function profileOf({ host: _host, ...known }: ProfileFacts): S3Profile {
  return {
    conditionalCreate: "auto",
    batchDelete: true,
    maxParts: maxS3Parts,
    objectTags: true,
    encryption: "on request",
    kms: true,
    remarks: [],
    ...known,
  };
}
