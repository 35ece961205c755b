/** One bucket as it is asked: what every call of the adapter shares. */
import type { IncomingMessage } from "node:http";
import { throwIfAborted } from "../../common/abort.ts";
import { systemClock, type Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { openStoreAgents, type NetworkOptions } from "../network/store-agents.ts";
import { openAuthorization } from "./gcs-authorization.ts";
import { gcsEndpoint } from "./gcs-endpoint.ts";
import { answerError, bucketMissing, gcsStatus, gcsStoreError } from "./gcs-errors.ts";
import { Connections, type ConnectionLimits, type HttpAnswer, type HttpCall } from "./gcs-http.ts";

export interface GcsSessionOptions extends NetworkOptions, ConnectionLimits {
  readonly bucket: string;
  /** Path in the bucket under which all keys lie, without slashes at its ends; empty for the bucket itself. */
  readonly prefix?: string;
  /** Default: STORAGE_EMULATOR_HOST, else Google's own. By plain HTTP it counts as an emulator, asked without credentials. */
  readonly endpoint?: string;
  /** A file of mode 0600 (`gcs-credentials.ts`), read again when it changes. Else Google's usual places. */
  readonly credentialsFile?: string;
  /** Name and version sent to the server. Default `tidemark`. */
  readonly userAgent?: string;
  readonly clock?: Clock;
}

/** One request of the JSON API. */
export interface GcsRequest extends Pick<HttpCall, "method" | "pieces"> {
  /** Below the endpoint, encoded, or the whole URL of an upload. */
  readonly path: string | URL;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses besides 2xx that are no failure. */
  readonly expected?: readonly number[];
}

/** An answer that was read to its end. */
export interface GcsAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Empty for an answer without a body, and for an expected one that is no JSON. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface GcsSession {
  /** `gs://bucket/path`. */
  readonly url: string;
  /** `/storage/v1/b/<bucket>/o`, which `/upload` goes before for uploads. */
  readonly objectsPath: string;
  /** The key as the bucket knows it. */
  fullKey(key: string): string;
  /** The other way round. */
  relativeKey(fullKey: string): string;
  /** The path of one object's resource. */
  objectPath(key: string): string;
  /** The address of an upload that the store answered with, at our endpoint. */
  uploadUrl(location: string): URL;
  /** Sends one request, once, and reads its answer. Throws `GcsAnswerError` and what the network throws. */
  call(request: GcsRequest, signal: AbortSignal | undefined): Promise<GcsAnswer>;
  /** The same with an answer that the caller reads, or destroys. */
  open(request: GcsRequest, signal: AbortSignal | undefined): Promise<HttpAnswer>;
  /** Runs requests and translates what they throw. `action` is a verb phrase. */
  attempt<T>(action: string, signal: AbortSignal | undefined, fn: () => Promise<T>): Promise<T>;
  /** After a 404 that meant a key: throws `store-missing` unless the bucket is there. Asks once. */
  requireBucket(action: string, signal: AbortSignal | undefined): Promise<void>;
  close(): void;
}

/** Throws `config` when a file that is named cannot be read, `usage` for a proxy that is none. Asks nobody yet. */
export async function openGcsSession(options: GcsSessionOptions): Promise<GcsSession> {
  const { bucket, prefix = "", credentialsFile } = options;
  const endpoint = gcsEndpoint(options.endpoint, process.env);
  const url = prefix === "" ? `gs://${bucket}` : `gs://${bucket}/${prefix}`;
  const agents = await openStoreAgents(options);
  const connections = new Connections(agents, options);
  // A private authority signs for a private endpoint, and not for those that give tokens.
  const { caFile: _own, ...usual } = options;
  const tokenAgents = options.caFile === undefined ? agents : await openStoreAgents(usual);
  const authorization = await openAuthorization({
    endpoint,
    agents: tokenAgents,
    credentialsFile,
    environment: process.env,
    clock: options.clock ?? systemClock,
  });
  const userAgent = options.userAgent ?? "tidemark";
  const objectsPath = `/storage/v1/b/${encodeURIComponent(bucket)}/o`;
  let bucketSeen = false;

  const open = async (request: GcsRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> => {
    const { method, path, pieces, query = {}, expected = [] } = request;
    const target = typeof path === "string" ? new URL(`${endpoint.url}${path}`) : new URL(path);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
    const headers = {
      "user-agent": userAgent,
      ...(await authorization.headers(signal)),
      ...request.headers,
    };
    const answer = await connections.send({
      method,
      url: target,
      headers,
      signal,
      ...(pieces === undefined ? {} : { pieces }),
    });
    const { status } = answer;
    if ((status >= 200 && status < 300) || expected.includes(status)) return answer;
    if (status === 401) authorization.refused();
    const text = await answer.text();
    // Google answers with JSON, or a line of text. Taken for its own, somebody else's page would say "absent".
    if (status === 404 && typeof path === "string" && /^\s*</.test(text)) throw notGoogles(url);
    throw answerError(status, text);
  };
  const attempt = async <T>(
    action: string,
    signal: AbortSignal | undefined,
    fn: () => Promise<T>,
  ): Promise<T> => {
    try {
      throwIfAborted(signal);
      return await fn();
    } catch (error) {
      throw gcsStoreError(error, { action, url, endpoint: endpoint.given, proxy: agents.proxy, signal });
    }
  };
  const session: GcsSession = {
    url,
    objectsPath,
    fullKey: (key) => (prefix === "" ? key : `${prefix}/${key}`),
    relativeKey: (fullKey) => (prefix === "" ? fullKey : fullKey.slice(prefix.length + 1)),
    objectPath: (key) => `${objectsPath}/${encodeURIComponent(session.fullKey(key))}`,
    uploadUrl: (location) => {
      // An emulator behind another address than its own answers with its own.
      const { pathname, search } = new URL(location, endpoint.url);
      return new URL(`${pathname}${search}`, endpoint.url);
    },
    open,
    call: async (request, signal) => {
      const { status, message, text } = await open(request, signal);
      const isFailure = request.expected?.includes(status) === true;
      return { status, headers: message.headers, body: parseBody(await text(), isFailure, url) };
    },
    attempt,
    requireBucket: async (action, signal) => {
      if (bucketSeen) return;
      try {
        const query = { maxResults: "1", fields: "nextPageToken" };
        await session.call({ method: "GET", path: objectsPath, query }, signal);
      } catch (error) {
        if (gcsStatus(error) === 404) throw bucketMissing(action, url);
        throw error;
      }
      bucketSeen = true;
    },
    close: () => {
      connections.close();
      tokenAgents.http.destroy();
      tokenAgents.https.destroy();
    },
  };
  return session;
}

function notGoogles(url: string): EngineError {
  return new EngineError("store-unavailable", `${url} gives a web page for an answer (404)`, {
    hint: "A proxy between here and the store may be answering in its place; check the endpoint.",
  });
}

function parseBody(text: string, isFailure: boolean, url: string): GcsAnswer["body"] {
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as GcsAnswer["body"];
  } catch {
    // Judged below.
  }
  if (isFailure) return {};
  throw new EngineError("store-unavailable", `${url} gives an answer that is no JSON`, {
    hint: "A proxy between here and the store may be answering in its place; check the endpoint.",
  });
}
