/**
 * A stand-in for Google Cloud Storage: it keeps objects in memory and speaks those calls of the JSON API that our adapter
 * makes, over a real socket, with Google's statuses and error bodies. It is no emulator, and proves nothing about Google's
 * own servers; the same tests run against whatever STORAGE_EMULATOR_HOST names (`gcs-store.test.ts`).
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Refusal, resourceOf, StandInBucket, type StoredObject } from "./gcs-stand-in-bucket.ts";
import { parseMultipart, receiveChunk, type ChunkAnswer } from "./gcs-stand-in-uploads.ts";

/** What a test wants to go wrong with one request. */
export type StandInFault =
  /** It is refused, and nothing is done. */
  | {
      readonly kind: "refuse";
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Record<string, string>;
      readonly text?: string;
    }
  /** The connection ends when so many bytes of the request's body have come; what came counts, where the store keeps it. */
  | { readonly kind: "cut-request"; readonly afterBytes: number }
  /** Everything is done, and the answer never arrives. */
  | { readonly kind: "lose-answer" }
  /** The connection ends when so many bytes of the answer's body have gone. */
  | { readonly kind: "cut-answer"; readonly afterBytes: number }
  /** A byte of what is to be stored is another one. */
  | { readonly kind: "damage" };

export interface StandInRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

export interface GcsStandIn extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly buckets: Map<string, StandInBucket>;
  /** Every request, in order. */
  readonly requests: StandInRequest[];
  /** Asked for every request; undefined is no fault. */
  fault: (request: StandInRequest) => StandInFault | undefined;
  /** Tokens that are accepted; undefined lets anybody in. */
  tokens: ReadonlySet<string> | undefined;
  /** What the token endpoint (`/token`) and the metadata server answer: the token, or a refusal in OAuth's terms. */
  token: () => { readonly status: number; readonly body: object };
}

export async function startGcsStandIn(...buckets: readonly string[]): Promise<GcsStandIn> {
  const server = createServer((request, response) => {
    void answer(standIn, request, response).catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const standIn: GcsStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    buckets: new Map(buckets.map((name) => [name, new StandInBucket()])),
    requests: [],
    fault: () => undefined,
    tokens: undefined,
    token: () => ({ status: 200, body: { access_token: "token-1", expires_in: 3600, token_type: "Bearer" } }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return standIn;
}

async function answer(
  standIn: GcsStandIn,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(message.url ?? "", standIn.url);
  const request = {
    method: message.method ?? "",
    path: pathname,
    query: searchParams,
    headers: message.headers,
  };
  standIn.requests.push(request);
  const fault = standIn.fault(request);
  const body = await readBody(message, fault?.kind === "cut-request" ? fault.afterBytes : undefined);
  if (fault?.kind === "refuse") return refuse(response, fault);
  if (fault?.kind === "damage") damage(body.content);
  try {
    if (request.path === "/token") return sendToken(standIn, response);
    if (request.path.startsWith("/computeMetadata/v1/")) return sendMetadata(standIn, request, response);
    requireToken(standIn, request);
    const result = route(standIn, request, body);
    if (body.isCut || fault?.kind === "lose-answer") response.destroy();
    else send(response, result, fault?.kind === "cut-answer" ? fault.afterBytes : undefined);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (body.isCut) response.destroy();
    else sendError(response, error);
  }
}

interface ReceivedBody {
  readonly content: Buffer;
  /** The connection ends with it. */
  readonly isCut: boolean;
}

async function readBody(message: IncomingMessage, limit: number | undefined): Promise<ReceivedBody> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (limit !== undefined && sizeBytes >= limit) break;
  }
  return { content: Buffer.concat(chunks).subarray(0, limit), isCut: limit !== undefined };
}

/** In the middle, which is content and not its wrapping. */
function damage(content: Buffer): void {
  const at = content.length >> 1;
  content[at] = (content[at] ?? 0) ^ 1;
}

function requireToken({ tokens }: GcsStandIn, { headers }: StandInRequest): void {
  if (tokens === undefined) return;
  const { authorization } = headers;
  if (authorization === undefined) {
    throw new Refusal(401, "required", "Anonymous caller does not have storage.objects.get access.");
  }
  if (tokens.has(authorization.replace(/^Bearer /, ""))) return;
  throw new Refusal(401, "authError", "Invalid Credentials");
}

function sendToken(
  standIn: GcsStandIn,
  response: ServerResponse,
  headers: Record<string, string> = {},
): void {
  const { status, body } = standIn.token();
  sendJson(response, status, body, headers);
}

/** What machines and pods of Google's find under `metadata.google.internal`: a token of the account that is attached to them. */
function sendMetadata(standIn: GcsStandIn, { path }: StandInRequest, response: ServerResponse): void {
  const flavor = { "metadata-flavor": "Google" };
  if (path.endsWith("/token")) return sendToken(standIn, response, flavor);
  response.writeHead(200, { "content-type": "application/text", ...flavor }).end("none");
}

type Result =
  | {
      readonly kind: "json";
      readonly status: number;
      readonly body: object;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "empty"; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly kind: "media"; readonly object: StoredObject; readonly range: string | undefined };

function route(standIn: GcsStandIn, request: StandInRequest, body: ReceivedBody): Result {
  const { method, path, query, headers } = request;
  if (method === "POST" && path === "/storage/v1/b") return makeBucket(standIn, body.content);
  const match = /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/(.+))?$/.exec(path);
  if (match === null) throw new Refusal(404, "notFound", "Not Found");
  const [, isUpload, bucketName = "", encoded] = match;
  const bucket = standIn.buckets.get(decodeURIComponent(bucketName));
  if (bucket === undefined) throw new Refusal(404, "notFound", "The specified bucket does not exist.");
  if (isUpload !== undefined) return upload(standIn, bucket, request, body);
  if (encoded === undefined) return { kind: "json", status: 200, body: list(bucket, query) };
  const name = decodeURIComponent(encoded);
  if (method === "DELETE") {
    bucket.require(name);
    bucket.requireGeneration(name, query.get("ifGenerationMatch"));
    bucket.objects.delete(name);
    return { kind: "empty", status: 204 };
  }
  const object = bucket.require(name);
  if (query.get("alt") === "media") return { kind: "media", object, range: headers.range };
  return { kind: "json", status: 200, body: resourceOf(object) };
}

function makeBucket(standIn: GcsStandIn, content: Buffer): Result {
  const { name } = JSON.parse(content.toString()) as { readonly name: string };
  standIn.buckets.set(name, new StandInBucket());
  return { kind: "json", status: 200, body: { kind: "storage#bucket", name } };
}

function list(bucket: StandInBucket, query: URLSearchParams): object {
  return bucket.list({
    prefix: query.get("prefix") ?? "",
    delimiter: query.get("delimiter") ?? "",
    startOffset: query.get("startOffset") ?? "",
    pageToken: query.get("pageToken") ?? "",
    maxResults: Math.min(1000, Number(query.get("maxResults") ?? 1000)),
  });
}

function upload(
  standIn: GcsStandIn,
  bucket: StandInBucket,
  { method, path, query, headers }: StandInRequest,
  body: ReceivedBody,
): Result {
  const uploadId = query.get("upload_id");
  if (uploadId !== null) {
    if (method === "DELETE") {
      bucket.uploads.delete(uploadId);
      return { kind: "empty", status: 499 };
    }
    return chunkResult(receiveChunk(bucket, uploadId, headers, body));
  }
  const condition = query.get("ifGenerationMatch");
  if (query.get("uploadType") === "multipart") {
    if (body.isCut) throw new Refusal(400, "badRequest", "the body ended early");
    const { metadata, content } = parseMultipart(headers["content-type"] ?? "", body.content);
    const object = bucket.write(metadata.name, content, { condition, checksum: metadata.crc32c });
    return { kind: "json", status: 200, body: resourceOf(object) };
  }
  const { name } = JSON.parse(body.content.toString()) as { readonly name: string };
  bucket.requireGeneration(name, condition);
  const id = `upload-${bucket.uploads.size + 1}-${Date.now()}`;
  bucket.uploads.set(id, { name, condition, content: Buffer.alloc(0) });
  const location = `${standIn.url}${path}?uploadType=resumable&upload_id=${id}`;
  return { kind: "empty", status: 200, headers: { location } };
}

function chunkResult(chunk: ChunkAnswer): Result {
  if (chunk.kind === "complete") return { kind: "json", status: 200, body: resourceOf(chunk.object) };
  const headers = chunk.storedBytes === 0 ? {} : { range: `bytes=0-${chunk.storedBytes - 1}` };
  return { kind: "empty", status: 308, headers };
}

function send(response: ServerResponse, result: Result, cutAfter: number | undefined): void {
  switch (result.kind) {
    case "json":
      return sendJson(response, result.status, result.body, result.headers);
    case "empty":
      response.writeHead(result.status, { "content-length": "0", ...result.headers }).end();
      return;
    case "media":
      return sendMedia(response, result.object, result.range, cutAfter);
  }
}

function sendMedia(
  response: ServerResponse,
  { content, generation, timeCreated, contentEncoding }: StoredObject,
  range: string | undefined,
  cutAfter: number | undefined,
): void {
  const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const start = Number(first);
  const end = Math.min(last === "" ? content.length : Number(last) + 1, content.length);
  if (range !== undefined && start >= content.length) {
    return sendError(
      response,
      new Refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable"),
    );
  }
  const part = content.subarray(start, end);
  response.writeHead(range === undefined ? 200 : 206, {
    "content-type": "application/octet-stream",
    "content-length": String(part.length),
    "last-modified": new Date(timeCreated).toUTCString(),
    "x-goog-generation": generation,
    ...(contentEncoding === undefined ? {} : { "content-encoding": contentEncoding }),
    ...(range === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${content.length}` }),
  });
  if (cutAfter === undefined) response.end(part);
  else response.write(part.subarray(0, cutAfter), () => response.destroy());
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response
    .writeHead(status, { "content-type": "application/json; charset=UTF-8", ...headers })
    .end(JSON.stringify(body));
}

function sendError(response: ServerResponse, { status, reason, message }: Refusal): void {
  const errors = [{ message, domain: "global", reason }];
  sendJson(response, status, { error: { code: status, message, errors } });
}

function refuse(
  response: ServerResponse,
  { status, reason = "backendError", headers, text }: StandInFault & { readonly kind: "refuse" },
): void {
  if (text !== undefined) {
    response.writeHead(status, { "content-type": "text/html", ...headers }).end(text);
    return;
  }
  const message = `refused: ${reason}`;
  sendJson(response, status, { error: { code: status, message, errors: [{ message, reason }] } }, headers);
}
