/** One client of one bucket: what every S3 call of the adapter shares. */
import type * as AwsS3 from "@aws-sdk/client-s3";
import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-s3";
import { throwIfAborted } from "../../common/abort.ts";
import type { EngineError } from "../../common/errors.ts";
import { openStoreAgents, type NetworkOptions } from "../network/store-agents.ts";
import { s3StoreError } from "./s3-errors.ts";
import { credentialsError, identitySettings, type S3IdentityOptions } from "./s3-identity.ts";
import { chooseS3Profile, type S3Profile, type S3ProfileName } from "./s3-profile.ts";

/** The SDK's module: 36 MB of memory and 70 ms, so it is loaded when a store is opened and handed around. */
type S3Sdk = typeof AwsS3;

export interface S3SessionOptions extends S3IdentityOptions, NetworkOptions {
  readonly bucket: string;
  /** Path in the bucket under which all keys lie, without slashes at its ends; empty for the bucket itself. */
  readonly prefix?: string;
  /** Default: the endpoint's where it says one, else AWS_REGION or the profile's; `us-east-1` for other endpoints. */
  readonly region?: string;
  /** `https://host[:port]` of a server other than AWS. */
  readonly endpoint?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: true where an endpoint is given. */
  readonly pathStyle?: boolean;
  /** What kind of server it is. Default: by the endpoint. */
  readonly profile?: S3ProfileName;
  /** Time to connect, in ms. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Silence on a connection before it is given up, in ms. Default 120 000. */
  readonly idleTimeoutMs?: number;
  /** Name and version sent to the server. Default `tidemark`. */
  readonly userAgent?: string;
}

export interface S3Session {
  readonly sdk: S3Sdk;
  readonly profile: S3Profile;
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
  const profile = chooseS3Profile(options.endpoint, options.profile);
  const agents = await openStoreAgents(options);
  const region = regionOf(options, profile);
  const client = new sdk.S3Client({
    ...(region === undefined ? {} : { region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    forcePathStyle: options.pathStyle ?? options.endpoint !== undefined,
    ...(await identitySettings(options, region, agents)),
    // Without one it warns on the console of credentials that it passes over.
    logger: silent,
    requestHandler: new NodeHttpHandler({
      httpAgent: agents.http,
      httpsAgent: agents.https,
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
    s3StoreError(error, { action, url, endpoint: options.endpoint, proxy: agents.proxy, signal });
  return {
    sdk,
    profile,
    bucket: options.bucket,
    url,
    encrypted: options.endpoint?.startsWith("http:") !== true,
    fullKey: (key) => (prefix === "" ? key : `${prefix}/${key}`),
    relativeKey: (fullKey) => (prefix === "" ? fullKey : fullKey.slice(prefix.length + 1)),
    send: async (command, signal) => {
      // From memory but for the first time and shortly before they expire; asked here so that their trouble is told from the store's.
      await client.config.credentials().catch((error: unknown) => {
        throw credentialsError(error, url);
      });
      return client.send(command, signal === undefined ? {} : { abortSignal: signal });
    },
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

const nothing = (): void => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Undefined: the SDK finds it. What the endpoint says is meant for it, other than a variable of the environment. */
function regionOf({ endpoint, region }: S3SessionOptions, profile: S3Profile): string | undefined {
  const known = region ?? profile.region;
  return known ?? (endpoint === undefined ? undefined : (process.env.AWS_REGION ?? "us-east-1"));
}
