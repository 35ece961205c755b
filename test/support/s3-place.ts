import { Secret } from "../../src/common/log.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import { openS3Store } from "../../src/storage/s3/s3-store.ts";
import { freshBucket, type S3Access } from "../ceph/s3-service.ts";

/** A bucket and how both programs are told of it. Credentials travel in the environment only. */
export interface S3Place {
  /** `s3://bucket/path`. */
  readonly url: string;
  readonly bucket: string;
  readonly endpoint: string;
  /** For Tidemark, for Barman, and for servers whose commands run Barman. */
  readonly environment: Readonly<Record<string, string>>;
  /** Options that name repository and server to `tidemark`. */
  tidemark(server: string): readonly string[];
}

const pathInBucket = "some/path";

/** A new bucket, with a path in it. */
export async function s3Place(access: S3Access): Promise<S3Place> {
  const bucket = await freshBucket(access);
  const url = `s3://${bucket}/${pathInBucket}`;
  return {
    url,
    bucket,
    endpoint: access.endpoint,
    environment: s3Environment(access),
    tidemark: (server) => ["--repo", url, "--server", server, "--endpoint-url", access.endpoint],
  };
}

/** The place as an object store, for looking at what lies there; the caller closes it. */
export async function openPlace(place: S3Place): Promise<ObjectStore> {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = place.environment;
  return openS3Store({
    bucket: place.bucket,
    prefix: pathInBucket,
    endpoint: place.endpoint,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: new Secret(AWS_SECRET_ACCESS_KEY) },
  });
}

/** The names of all objects below a prefix such as `main/base/20261121T090727/`, in order, without it. */
export async function objectNames(place: S3Place, prefix: string): Promise<string[]> {
  const store = await openPlace(place);
  try {
    const entries = await Array.fromAsync(store.list(prefix));
    return entries.flatMap((entry) => (entry.kind === "object" ? [entry.key.slice(prefix.length)] : []));
  } finally {
    await store.close();
  }
}

/** Credentials as environment, for programs of any maker. */
export function s3Environment(
  keys: Pick<S3Access, "accessKeyId" | "secretAccessKey">,
): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
    HOME: "/",
  };
}
