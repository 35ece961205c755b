import { request as httpRequest, type IncomingMessage } from "node:http";
import { abortError, throwIfAborted } from "../common/abort.ts";
import { errorCodes, type ErrorCode } from "../common/error-codes.ts";
import { describeError, EngineError, systemErrorCode } from "../common/errors.ts";
import { mib } from "../common/units.ts";
import { findControlSocket, type SocketOptions } from "../control/state-directory.ts";

export type Query = Readonly<Record<string, string | boolean | undefined>>;

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Parameters that are undefined or false are left out. */
  readonly query?: Query;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Speaks with the control plane. Every error that it answers is thrown as the EngineError that it was there. */
export interface ControlClient {
  /** The answer's JSON. Throws `control-unreachable`, and what is answered. */
  request(path: string, options?: RequestOptions): Promise<unknown>;
  /**
   * The lines of an answer that goes on, until the control plane ends it, the caller leaves the loop, or the signal fires
   * (which is no error here). Throws as `request` does.
   */
  lines(path: string, options?: Pick<RequestOptions, "query" | "signal">): AsyncIterable<unknown>;
}

/** How long the control plane may be silent before it has answered. */
const timeoutMs = 60_000;

/** More than all objects of a machine. */
const longestAnswerBytes = 256 * mib;

/** No connection is made before something is asked. */
export function connectControl({ socketPath }: { readonly socketPath: string }): ControlClient {
  return {
    async request(path, options = {}) {
      const response = await send(socketPath, path, options);
      return parseAnswer(socketPath, response, await readAll(socketPath, response, options.signal));
    },
    async *lines(path, { signal, ...options } = {}) {
      const response = await send(socketPath, path, { ...options, signal });
      if (!isSuccess(response)) {
        parseAnswer(socketPath, response, await readAll(socketPath, response, signal));
        return;
      }
      // From here on silence only means that nothing happens.
      response.socket.setTimeout(0);
      yield* readLines(socketPath, response, signal);
    },
  };
}

/** The control plane that a command's options, the environment or the state directory name. */
export async function connectFor(options: SocketOptions): Promise<ControlClient> {
  return connectControl({ socketPath: await findControlSocket(options) });
}

async function send(
  socketPath: string,
  path: string,
  { method = "GET", query = {}, body, signal }: RequestOptions,
): Promise<IncomingMessage> {
  throwIfAborted(signal);
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      socketPath,
      method,
      path: `${path}${queryText(query)}`,
      // One connection for each: none stays open behind a command that has ended.
      agent: false,
      headers: {
        host: "localhost",
        ...(payload === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
      },
      ...(signal === undefined ? {} : { signal }),
    });
    request.setTimeout(timeoutMs, () => {
      request.destroy(unreachable(socketPath, `it did not answer within ${timeoutMs / 1000} s`));
    });
    request.on("response", resolve);
    request.on("error", (error) => reject(failureOf(error, socketPath, signal)));
    request.end(payload);
  });
}

function queryText(query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== false) given.append(name, String(value));
  }
  return given.size === 0 ? "" : `?${given.toString()}`;
}

async function readAll(
  socketPath: string,
  response: IncomingMessage,
  signal: AbortSignal | undefined,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > longestAnswerBytes) throw unreachable(socketPath, "its answer is too long");
      chunks.push(chunk);
    }
  } catch (error) {
    throw failureOf(error, socketPath, signal);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function* readLines(
  socketPath: string,
  response: IncomingMessage,
  signal: AbortSignal | undefined,
): AsyncIterable<unknown> {
  let rest = "";
  response.setEncoding("utf8");
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield JSON.parse(line) as unknown;
    }
  } catch (error) {
    if (signal?.aborted === true) return;
    throw failureOf(error, socketPath, signal);
  } finally {
    response.destroy();
  }
}

const isSuccess = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200 && statusCode < 300;

function parseAnswer(socketPath: string, response: IncomingMessage, text: string): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw unreachable(socketPath, `its answer (${response.statusCode ?? 0}) is no JSON`, cause);
  }
  if (isSuccess(response)) return answer;
  throw answeredError(answer);
}

/** Of a Status object: the error as it was thrown at the other end. */
function answeredError(status: unknown): EngineError {
  const { message, tidemark } = recordOf(status);
  const { code, hint, details } = recordOf(tidemark);
  const known: ErrorCode = typeof code === "string" && code in errorCodes ? (code as ErrorCode) : "internal";
  return new EngineError(known, typeof message === "string" ? message : "the request was refused", {
    ...(typeof hint === "string" ? { hint } : {}),
    details: recordOf(details),
  });
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** What a connection that failed means to whoever asked. */
function failureOf(error: unknown, socketPath: string, signal: AbortSignal | undefined): EngineError {
  if (signal?.aborted === true) return abortError(signal);
  return error instanceof EngineError ? error : unreachable(socketPath, reasonOf(error), error);
}

function reasonOf(error: unknown): string {
  const code = systemErrorCode(error);
  if (code === "ENOENT" || code === "ECONNREFUSED") return "it does not run";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "ECONNRESET" || code === "EPIPE") return "it ended before it had answered";
  return describeError(error);
}

function unreachable(socketPath: string, reason: string, cause?: unknown): EngineError {
  return new EngineError(
    "control-unreachable",
    `could not reach the control plane at "${socketPath}": ${reason}`,
    {
      // The system's words say no more than ours.
      ...(systemErrorCode(cause) === undefined && cause !== undefined ? { cause } : {}),
      hint:
        reason === "permission denied"
          ? "It belongs to another user: run the command as that user, or as root."
          : "Start it with: tidemark up.",
    },
  );
}
