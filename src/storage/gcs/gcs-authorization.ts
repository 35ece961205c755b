/**
 * Who asks: the headers that authorise a request. The SDK knows all the ways to a token (keys, federation, gcloud's login,
 * the metadata server) and keeps it until shortly before it expires.
 */
import type { Storage } from "@google-cloud/storage";
import { abortError, throwIfAborted } from "../../common/abort.ts";
import type { Clock } from "../../common/clock.ts";
import { CredentialsFile } from "../credentials-file.ts";
import type { StoreAgents } from "../network/store-agents.ts";
import { googleCredentialsFormat, type GoogleCredentials } from "./gcs-credentials.ts";
import { requireSafeForTokens, type GcsEndpoint } from "./gcs-endpoint.ts";
import { credentialsError } from "./gcs-errors.ts";

export interface Authorization {
  /** Throws `config`, `store-denied` or `store-unavailable` when there is no token to be had. */
  headers(signal: AbortSignal | undefined): Promise<Readonly<Record<string, string>>>;
  /** The store refused what `headers` gave: the next ones are made anew. */
  refused(): void;
}

export interface AuthorizationOptions {
  readonly endpoint: GcsEndpoint;
  /** For asking after tokens. */
  readonly agents: StoreAgents;
  /** A file of mode 0600. Else GOOGLE_APPLICATION_CREDENTIALS, then the SDK's chain. */
  readonly credentialsFile: string | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}

type AuthClient = Storage["authClient"];
type CreateClient = () => Promise<AuthClient>;

const tokenTimeoutMs = 30_000;

/** Reads the credentials file, where there is one; asks nobody yet. Throws `config`. */
export async function openAuthorization(options: AuthorizationOptions): Promise<Authorization> {
  const { endpoint, credentialsFile, environment, clock } = options;
  if (credentialsFile === undefined && endpoint.isEmulator) return anonymous;
  if (credentialsFile !== undefined) requireSafeForTokens(endpoint, credentialsFile);
  // Google's own variable is read here and not by the SDK, whose errors about a file that is no JSON quote it. What mode
  // such a file has is for others to say.
  const path = credentialsFile ?? (environment["GOOGLE_APPLICATION_CREDENTIALS"] || undefined);
  const format = googleCredentialsFormat(credentialsFile !== undefined);
  const file = path === undefined ? undefined : await CredentialsFile.open(path, format, clock);
  return new SdkAuthorization(await clientFactory(options.agents, path), file);
}

const anonymous: Authorization = { headers: async () => ({}), refused: () => undefined };

async function clientFactory(agents: StoreAgents, path: string | undefined): Promise<CreateClient> {
  const { Storage } = await import("@google-cloud/storage");
  const clientOptions = {
    transporterOptions: {
      agent: ({ protocol }: URL) => (protocol === "https:" ? agents.https : agents.http),
      timeout: tokenTimeoutMs,
      // Retries belong to the wrapper. The exchange of a federation's token is repeated all the same, for two seconds.
      retryConfig: { retry: 0, noResponseRetries: 0 },
    },
  };
  return async () => {
    // Objects are named by bucket; without a project here the SDK would run gcloud to find one.
    const { authClient } = new Storage({ projectId: "none", clientOptions });
    // What the SDK does with the file of its own variable. Its documented ways write a warning to stderr each time.
    if (path !== undefined) await authClient._getApplicationCredentialsFromFilePath(path, clientOptions);
    return authClient;
  };
}

class SdkAuthorization implements Authorization {
  readonly #create: CreateClient;
  readonly #file: CredentialsFile<GoogleCredentials> | undefined;
  #current:
    | { readonly client: Promise<AuthClient>; readonly from: GoogleCredentials | undefined }
    | undefined;

  constructor(create: CreateClient, file: CredentialsFile<GoogleCredentials> | undefined) {
    this.#create = create;
    this.#file = file;
  }

  async headers(signal: AbortSignal | undefined): Promise<Readonly<Record<string, string>>> {
    throwIfAborted(signal);
    const from = await this.#file?.current();
    if (this.#current === undefined || this.#current.from !== from) {
      this.#current = { client: this.#create(), from };
    }
    const { client } = this.#current;
    try {
      const headers = await untilAborted(tokenOf(client), signal);
      return Object.fromEntries(headers.entries());
    } catch (error) {
      // A client that failed may remember it.
      if (signal?.aborted !== true) this.refused();
      throw credentialsError(error, signal);
    }
  }

  refused(): void {
    this.#current = undefined;
  }
}

async function tokenOf(client: Promise<AuthClient>): Promise<Headers> {
  return (await client).getRequestHeaders();
}

/** The SDK's waiting for a token heeds no signal, so it is left behind; its own time-out ends it. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(abortError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
