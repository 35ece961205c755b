/** One client of one bucket: what every S3 call of the adapter shares. */
import { readFile } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type * as AwsS3 from "@aws-sdk/client-s3";
import type { S3Client, S3ClientConfig, ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-s3";
import { throwIfAborted } from "../../common/abort.ts";
import { EngineError, fileError } from "../../common/errors.ts";
import { identityOf, S3CredentialsFile, type S3Credentials } from "./s3-credentials.ts";
import { s3StoreError } from "./s3-errors.ts";

/** The SDK's module: 36 MB of memory and 70 ms, so it is loaded when a store is opened and handed around. */
type S3Sdk = typeof AwsS3;

export interface S3SessionOptions {
  readonly bucket: string;
  /** Path in the bucket under which all keys lie, without slashes at its ends; empty for the bucket itself. */
  readonly prefix?: string;
  /** Default: AWS_REGION or the profile's; `us-east-1` where an endpoint is given (most other servers take any). */
  readonly region?: string;
  /** `https://host[:port]` of a server other than AWS. */
  readonly endpoint?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: true where an endpoint is given. */
  readonly pathStyle?: boolean;
  /** Default: the SDK's chain (environment, profile, web identity, container, instance role), asked when first needed. */
  readonly credentials?: S3Credentials;
  /** A file of mode 0600 that holds them (`s3-credentials.ts`), read again when it changes. `credentials` win. */
  readonly credentialsFile?: string;
  /** PEM file with the certificates of the authorities to trust, instead of the built-in ones. */
  readonly caFile?: string;
  /** Connections at once, opened bodies included. Default 64. */
  readonly maxSockets?: number;
  /** Time to connect, in ms. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Silence on a connection before it is given up, in ms. Default 120 000. */
  readonly idleTimeoutMs?: number;
  /** Name and version sent to the server. Default `tidemark`. */
  readonly userAgent?: string;
}

export interface S3Session {
  readonly sdk: S3Sdk;
  readonly bucket: string;
  /** `s3://bucket/path`. */
  readonly url: string;
  /** Whether the connection itself protects the content from change. */
  readonly encrypted: boolean;
  /** The key as the bucket knows it. */
  fullKey(key: string): string;
  /** The other way round. */
  relativeKey(fullKey: string): string;
  /** Sends one request, once. Throws what the SDK throws. */
  send<In extends ServiceInputTypes, Out extends ServiceOutputTypes>(
    command: S3Command<In, Out>,
    signal: AbortSignal | undefined,
  ): Promise<Out>;
  /** Runs requests and translates what they throw. `action` is a verb phrase. */
  attempt<T>(action: string, signal: AbortSignal | undefined, fn: () => Promise<T>): Promise<T>;
  translate(error: unknown, action: string, signal: AbortSignal | undefined): EngineError;
  close(): void;
}

type S3Command<In extends ServiceInputTypes, Out extends ServiceOutputTypes> = Parameters<
  typeof S3Client.prototype.send<In, Out>
>[0];

export async function openS3Session(options: S3SessionOptions): Promise<S3Session> {
  const [sdk, { NodeHttpHandler }] = await Promise.all([
    import("@aws-sdk/client-s3"),
    import("@smithy/node-http-handler"),
  ]);
  const prefix = options.prefix ?? "";
  const url = prefix === "" ? `s3://${options.bucket}` : `s3://${options.bucket}/${prefix}`;
  const agent = { keepAlive: true, maxSockets: options.maxSockets ?? 64 };
  const ca = options.caFile === undefined ? {} : { ca: await readCertificates(options.caFile) };
  const client = new sdk.S3Client({
    ...clientIdentity(options),
    ...(await credentialsOption(options)),
    requestHandler: new NodeHttpHandler({
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...ca }),
      connectionTimeout: options.connectTimeoutMs ?? 10_000,
      socketTimeout: options.idleTimeoutMs ?? 120_000,
      // Queueing for a socket is normal here and bounded elsewhere; the SDK would print a warning to the console.
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
    }),
    // The SDK's default adds CRC trailers that R2, B2 and older MinIO refuse.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Retries belong to the wrapper, which knows what may be repeated.
    maxAttempts: 1,
    // "Expect: 100-continue" is of no use here: with an agent of our own the SDK sends the body without waiting.
    expectContinueHeader: false,
    customUserAgent: options.userAgent ?? "tidemark",
  });

  const translate = (error: unknown, action: string, signal: AbortSignal | undefined): EngineError =>
    s3StoreError(error, { action, url, endpoint: options.endpoint, signal });
  return {
    sdk,
    bucket: options.bucket,
    url,
    encrypted: options.endpoint?.startsWith("http:") !== true,
    fullKey: (key) => (prefix === "" ? key : `${prefix}/${key}`),
    relativeKey: (fullKey) => (prefix === "" ? fullKey : fullKey.slice(prefix.length + 1)),
    send: async (command, signal) =>
      client.send(command, signal === undefined ? {} : { abortSignal: signal }),
    translate,
    attempt: async (action, signal, fn) => {
      try {
        throwIfAborted(signal);
        return await fn();
      } catch (error) {
        throw translate(error, action, signal);
      }
    },
    close: () => client.destroy(),
  };
}

function clientIdentity({ endpoint, ...options }: S3SessionOptions): S3ClientConfig {
  const region =
    options.region ?? (endpoint === undefined ? undefined : (process.env.AWS_REGION ?? "us-east-1"));
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
  };
}

async function credentialsOption(options: S3SessionOptions): Promise<Pick<S3ClientConfig, "credentials">> {
  const { credentials, credentialsFile } = options;
  if (credentials !== undefined) return { credentials: identityOf(credentials) };
  if (credentialsFile === undefined) return {};
  const file = await S3CredentialsFile.open(credentialsFile);
  return { credentials: async () => file.identity() };
}

async function readCertificates(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new EngineError("config", `could not read the CA file "${path}"`, {
      cause: fileError("read", path, error),
    });
  }
}
