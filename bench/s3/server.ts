import { dirname, join } from "node:path";
import { DeleteObjectsCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { startCephGateway } from "../../test/ceph/ceph-gateway.ts";
import { countRequests } from "./request-counter.ts";

/** A real S3 server on loopback, and what contenders need to use it. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Credentials as every S3 client reads them. */
  readonly environment: Readonly<Record<string, string>>;
  freshPrefix(name: string): string;
  storedBytes(prefix: string): Promise<number>;
  removePrefix(prefix: string): Promise<void>;
  /** Requests the server has taken since it started. */
  requests(): Promise<number>;
}

export function requireS3(server: S3Server | undefined): S3Server {
  if (server === undefined) throw new Error("this contender needs the S3 server");
  return server;
}

/** Debian's Ceph gateway, as in the tests. */
export async function startS3Server(): Promise<S3Server> {
  const gateway = await startCephGateway();
  const { endpoint, accessKeyId, secretAccessKey } = gateway;
  const bucket = "bench";
  const region = "us-east-1";
  await gateway.createBucket(bucket);
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
  });
  let count = 0;
  async function* pages(prefix: string) {
    for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: `${prefix}/` })) {
      yield page.Contents ?? [];
    }
  }
  return {
    endpoint,
    region,
    bucket,
    environment: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
    },
    freshPrefix: (name) => `${name}-${++count}`,
    storedBytes: async (prefix) => {
      let bytes = 0;
      for await (const objects of pages(prefix)) for (const { Size = 0 } of objects) bytes += Size;
      return bytes;
    },
    removePrefix: async (prefix) => {
      for await (const objects of pages(prefix)) {
        const Objects = objects.map(({ Key }) => ({ Key }));
        if (Objects.length > 0)
          await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
      }
    },
    requests: () => countRequests(join(dirname(gateway.caFile), "client.rgw.asok")),
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      await gateway.stop();
    },
  };
}
