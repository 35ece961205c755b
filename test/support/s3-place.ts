import type { CephGateway } from "../ceph/ceph-gateway.ts";

/** A bucket and how both programs are told of it. Credentials travel in the environment only. */
export interface S3Place {
  /** `s3://bucket/path`. */
  readonly url: string;
  readonly endpoint: string;
  /** For Tidemark, for Barman, and for servers whose commands run Barman. */
  readonly environment: Readonly<Record<string, string>>;
  /** Options that name repository and server to `tidemark`. */
  tidemark(server: string): readonly string[];
}

let buckets = 0;

/** A new bucket on the gateway, with a path in it. */
export async function s3Place(gateway: CephGateway): Promise<S3Place> {
  const bucket = `peer-${buckets++}`;
  await gateway.createBucket(bucket);
  const url = `s3://${bucket}/some/path`;
  return {
    url,
    endpoint: gateway.endpoint,
    environment: s3Environment(gateway),
    tidemark: (server) => ["--repo", url, "--server", server, "--endpoint-url", gateway.endpoint],
  };
}

/** The credentials of a gateway as environment, for programs of any maker. */
export function s3Environment(
  keys: Pick<CephGateway, "accessKeyId" | "secretAccessKey">,
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
