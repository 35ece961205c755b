/**
 * One HTTP exchange with the store. The SDK's own calls cannot be stopped by a signal, which the port asks for: a write
 * that was given up would go on reading buffers that others fill again by then. See docs/decisions/0012-*.md.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { abortError, throwIfAborted } from "../../common/abort.ts";
import { mib } from "../../common/units.ts";
import type { StoreAgents } from "../network/store-agents.ts";

export interface ConnectionLimits {
  /** Time to connect, in ms. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Silence on a connection before it is given up, in ms. Default 120 000. */
  readonly idleTimeoutMs?: number;
}

export interface HttpCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** The body, sent as it lies in memory. */
  readonly pieces?: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Whoever does not read it to its end destroys it, which ends the connection. */
  readonly message: IncomingMessage;
  /** The body as text, for answers that are no object's content. Throws when it is longer than `maxAnswerBytes`. */
  readonly text: () => Promise<string>;
}

/** A page of a list has at most a thousand names of 1 KiB, some of them twice. */
const maxAnswerBytes = 16 * mib;

/** The connections of one store. `close` destroys the agents. */
export class Connections {
  readonly #agents: StoreAgents;
  readonly #connectTimeoutMs: number;
  readonly #idleTimeoutMs: number;

  constructor(agents: StoreAgents, { connectTimeoutMs, idleTimeoutMs }: ConnectionLimits = {}) {
    this.#agents = agents;
    this.#connectTimeoutMs = connectTimeoutMs ?? 10_000;
    this.#idleTimeoutMs = idleTimeoutMs ?? 120_000;
  }

  /** Sends one request, once; whatever its status, the answer is returned. Throws system errors, and what `signal` throws. */
  async send({ method, url, headers, pieces = [], signal }: HttpCall): Promise<HttpAnswer> {
    // One that begins aborted would wait for its socket before it says so.
    throwIfAborted(signal);
    const isEncrypted = url.protocol === "https:";
    const start = isEncrypted ? httpsRequest : httpRequest;
    const request = start(url, {
      method,
      headers: { ...headers },
      agent: isEncrypted ? this.#agents.https : this.#agents.http,
      timeout: this.#idleTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    request.on("timeout", () => request.destroy(timedOut("was silent", this.#idleTimeoutMs)));
    this.#limitConnecting(request);
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      // Stays: a connection that breaks after its answer must not end the process.
      request.on("error", reject);
    });
    if (pieces.length === 0) request.end();
    // Whatever ends the sending early is an error of the request as well, or an answer that came before.
    else pipeline(Readable.from(pieces, { objectMode: false }), request).catch(() => undefined);
    const message = await untilAborted(answered, request, signal);
    // A connection that breaks while nobody reads; the next read reports it.
    message.on("error", () => undefined);
    return {
      status: message.statusCode ?? 0,
      message,
      text: async () => {
        try {
          return await readText(message);
        } finally {
          // An answer that came before all was sent: nothing of the pieces may be read any more when the call is over.
          if (!message.complete || !request.writableFinished) request.destroy();
        }
      },
    };
  }

  #limitConnecting(request: ClientRequest): void {
    request.once("socket", (socket) => {
      if (!socket.connecting) return;
      const error = timedOut("took no connection", this.#connectTimeoutMs);
      const timer = setTimeout(() => request.destroy(error), this.#connectTimeoutMs);
      socket.once("connect", () => clearTimeout(timer));
      request.once("close", () => clearTimeout(timer));
    });
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }
}

/** A request that waits for its socket, behind a silent proxy for instance, is destroyed by its signal and does not say so. */
async function untilAborted<T>(
  answered: Promise<T>,
  request: ClientRequest,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return answered;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      if (request.socket === null) reject(abortError(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([answered, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function readText(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxAnswerBytes) throw new Error(`the answer has more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function timedOut(what: string, ms: number): Error {
  return Object.assign(new Error(`the server ${what} for ${ms / 1000} s`), { code: "ETIMEDOUT" });
}
