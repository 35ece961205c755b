/** One container as it is reached: what every call of the Azure adapter shares. */
import type { TokenCredential } from "@azure/identity";
import type * as AzureBlob from "@azure/storage-blob";
import type { BlockBlobClient, ContainerClient } from "@azure/storage-blob";
import { throwIfAborted } from "../../common/abort.ts";
import { EngineError } from "../../common/errors.ts";
import { CredentialsFile } from "../credentials-file.ts";
import { openStoreAgents, type NetworkOptions, type StoreAgents } from "../network/store-agents.ts";
import {
  azureCredentialsFormat,
  environmentCredentials,
  type AzureCredentials,
} from "./azure-credentials.ts";
import { azureStoreError } from "./azure-errors.ts";
import { openIdentity, type AzureIdentity } from "./azure-identity.ts";
import { usualEndpoint } from "./azure-url.ts";

/** The SDK's module: it is loaded when a store is opened and handed around. */
type AzureSdk = typeof AzureBlob;

export interface AzureSessionOptions extends NetworkOptions {
  /** Name of the storage account. */
  readonly account: string;
  readonly container: string;
  /** Path in the container under which all keys lie, without slashes at its ends; empty for the container itself. */
  readonly prefix?: string;
  /** The account's blob service (`https://host`, of an emulator `http://host:port/account`). Default: as a connection string says, else Azure's. */
  readonly endpoint?: string;
  readonly credentials?: AzureCredentials;
  /** A file of mode 0600 that holds them (`azure-credentials.ts`), read again when it changes. `credentials` win. */
  readonly credentialsFile?: string;
  /** Sign in as this machine. Default, without credentials here, in a file or in the environment: `default`. */
  readonly identity?: AzureIdentity;
  /** Name sent to the server. Default `tidemark`. */
  readonly userAgent?: string;
}

export interface AzureSession {
  /** `azure://account/container/path`. */
  readonly url: string;
  /** The key as the container knows it. */
  fullKey(key: string): string;
  /** The other way round. */
  relativeKey(fullKey: string): string;
  /** What the requests are made with, by the credentials that count now. Throws `config`. */
  connect(): Promise<AzureConnection>;
  /** Runs requests and translates what they throw. `action` is a verb phrase. */
  attempt<T>(action: string, signal: AbortSignal | undefined, fn: () => Promise<T>): Promise<T>;
  translate(error: unknown, action: string, signal: AbortSignal | undefined): EngineError;
  close(): void;
}

export interface AzureConnection {
  readonly container: ContainerClient;
  /** Whether the connection itself protects the content from change. */
  readonly encrypted: boolean;
  readonly blob: (key: string) => BlockBlobClient;
}

type Access = AzureCredentials | { readonly kind: "identity"; readonly credential: TokenCredential };

/** Throws `config` for credentials that cannot be read or are another account's. */
export async function openAzureSession(options: AzureSessionOptions): Promise<AzureSession> {
  const { account, container, prefix = "" } = options;
  const sdk = await import("@azure/storage-blob");
  const currentAccess = await accessOf(options);
  const agents = await openStoreAgents(options);
  const place = `azure://${account}/${container}`;
  const url = prefix === "" ? place : `${place}/${prefix}`;
  const fullKey = (key: string): string => (prefix === "" ? key : `${prefix}/${key}`);

  const connectWith = (access: Access): AzureConnection => {
    const endpoint = endpointOf(options, access);
    const client = createContainerClient(sdk, endpoint, access, options, agents);
    return {
      container: client,
      encrypted: endpoint.startsWith("https:"),
      blob: (key) => client.getBlockBlobClient(fullKey(key)),
    };
  };
  let known: { readonly access: Access; readonly connection: AzureConnection } | undefined;
  const connect = async (): Promise<AzureConnection> => {
    const access = await currentAccess();
    if (known?.access !== access) known = { access, connection: connectWith(access) };
    return known.connection;
  };
  // What is wrong with the credentials shows when a store is opened, and not with the first backup.
  await connect();

  const translate = (error: unknown, action: string, signal: AbortSignal | undefined): EngineError =>
    azureStoreError(error, { action, url, endpoint: options.endpoint, proxy: agents.proxy, signal });
  return {
    url,
    fullKey,
    relativeKey: (key) => (prefix === "" ? key : key.slice(prefix.length + 1)),
    connect,
    translate,
    attempt: async (action, signal, fn) => {
      try {
        throwIfAborted(signal);
        return await fn();
      } catch (error) {
        throw translate(error, action, signal);
      }
    },
    close: () => {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** Gives the same object for as long as nothing has changed. */
async function accessOf(options: AzureSessionOptions): Promise<() => Promise<Access>> {
  const { credentials, credentialsFile, identity } = options;
  if (credentials !== undefined) return async () => credentials;
  if (credentialsFile !== undefined) {
    const file = await CredentialsFile.open(credentialsFile, azureCredentialsFormat);
    return async () => file.current();
  }
  const found = identity === undefined ? environmentCredentials(process.env) : undefined;
  if (found !== undefined) return async () => found;
  const access: Access = { kind: "identity", credential: await openIdentity(identity ?? "default") };
  return async () => access;
}

function endpointOf(options: AzureSessionOptions, access: Access): string {
  const { account } = options;
  if (access.kind === "identity") {
    const endpoint = options.endpoint ?? usualEndpoint(account);
    if (endpoint.startsWith("https:")) return endpoint;
    throw new EngineError(
      "config",
      `the store at ${endpoint} is to be reached without a key, by plain HTTP`,
      {
        hint: "A token is sent over TLS alone: use https://, or give a key or a connection string.",
      },
    );
  }
  if (access.account !== undefined && access.account !== account) {
    throw new EngineError(
      "config",
      `the credentials are those of the storage account "${access.account}", and the store is in "${account}"`,
      { hint: "Give this store credentials of its own (a credentials file), or correct its address." },
    );
  }
  const endpoint = options.endpoint ?? access.endpoint ?? usualEndpoint(account);
  if (access.kind === "sas") requireSafeForSas(endpoint);
  return endpoint;
}

/** Throws `config` where a signature, which is all that its thief needs, would travel readable: plain HTTP, but within this machine. */
function requireSafeForSas(endpoint: string): void {
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return;
  throw new EngineError(
    "config",
    `the shared access signature is not sent to ${endpoint}: others could read it on its way`,
    { hint: "Use https://, or give a key: a key signs requests and is not sent." },
  );
}

function createContainerClient(
  sdk: AzureSdk,
  endpoint: string,
  access: Access,
  options: AzureSessionOptions,
  agents: StoreAgents,
): ContainerClient {
  const pipelineOptions = {
    // Retries belong to the wrapper, which knows what may be repeated.
    retryOptions: { maxTries: 1 },
    userAgentOptions: { userAgentPrefix: options.userAgent ?? "tidemark" },
    // Handed on to the HTTP layer, which knows it, though the type of these options does not.
    agent: endpoint.startsWith("https:") ? agents.https : agents.http,
  };
  const pipeline = sdk.newPipeline(credentialOf(sdk, access, options.account), pipelineOptions);
  const query = access.kind === "sas" ? `?${access.token.reveal()}` : "";
  return new sdk.ContainerClient(`${endpoint}/${encodeURIComponent(options.container)}${query}`, pipeline);
}

function credentialOf(
  sdk: AzureSdk,
  access: Access,
  account: string,
): Parameters<AzureSdk["newPipeline"]>[0] {
  switch (access.kind) {
    case "key":
      return new sdk.StorageSharedKeyCredential(account, access.key.reveal());
    case "sas":
      return new sdk.AnonymousCredential();
    case "identity":
      return access.credential;
  }
}
