import { randomBytes } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";

/** How to reach an S3 server and who may: plain data, which travels from one process to another. */
export interface S3Access {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  /** The same server over TLS, with a certificate for `localhost` that is its own authority. */
  readonly tlsEndpoint: string;
  readonly caFile: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export async function createBucket(access: S3Access, name: string): Promise<void> {
  const { endpoint, accessKeyId, secretAccessKey } = access;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }));
  } finally {
    client.destroy();
  }
}

/** Makes a bucket that no other test has; returns its name. */
export async function freshBucket(access: S3Access): Promise<string> {
  const name = `test-${randomBytes(8).toString("hex")}`;
  await createBucket(access, name);
  return name;
}
