import { chown, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { describeError, EngineError } from "./errors.ts";
import { kib } from "./units.ts";

/** What a Unix socket's path may have at most is 107 bytes on Linux and 103 elsewhere. */
const longestPathBytes = 100;

export interface RequestSocketOptions {
  /** Where to listen. */
  readonly path: string;
  /** Whom the socket is given to, by root; undefined leaves it ours. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Answers what came, already read as JSON; what it throws is the answer as well. */
  readonly answer: (request: unknown) => Promise<unknown>;
  /** How long the end waits for answers that are under way, whose clients are cut off then. Default 0. */
  readonly graceMs?: number;
}

export interface RequestSocket extends AsyncDisposable {
  readonly path: string;
}

/**
 * Listens for requests on a Unix socket, or in a private temporary folder when the path is too long for one. Only the owner of
 * the folder can connect. One request a connection: a line of JSON, answered by a line of JSON (`request-client.ts` asks).
 *
 * @throws EngineError `file-io`.
 */
export async function listenForRequests(options: RequestSocketOptions): Promise<RequestSocket> {
  const { owner, answer, graceMs = 0 } = options;
  const isTooLong = Buffer.byteLength(options.path) > longestPathBytes;
  const path = isTooLong
    ? join(await mkdtemp(join(tmpdir(), "tidemark-")), basename(options.path))
    : options.path;
  await rm(path, { force: true });
  const connections = new Set<Socket>();
  const answering = new Set<Promise<void>>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serve(socket, answer, answering);
  });
  await new Promise<void>((resolve, reject) => {
    // Once it listens, an error is that of one connection (no file descriptors left, say): its client finds no answer and
    // asks again, or does without us.
    server.on("error", (cause) =>
      reject(new EngineError("file-io", `could not listen on "${path}": ${cause.message}`, { cause })),
    );
    server.listen(path, resolve);
  });
  if (owner !== undefined) {
    await chown(path, owner.uid, owner.gid);
    if (isTooLong) await chown(dirname(path), owner.uid, owner.gid);
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const closed = close(server);
      await within(graceMs, Promise.all(answering));
      for (const socket of connections) socket.destroy();
      await closed;
      await rm(isTooLong ? dirname(path) : path, { force: true, recursive: true });
    },
  };
}

function serve(socket: Socket, answer: RequestSocketOptions["answer"], answering: Set<Promise<void>>): void {
  let text = "";
  let isAnswering = false;
  socket.setEncoding("utf8");
  // A client that left needs no answer.
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (text.length > 64 * kib) socket.destroy();
    if (isAnswering || !text.includes("\n")) return;
    isAnswering = true;
    // Never rejects.
    const sent = respond(text, answer).then(async (line) => finish(socket, line));
    answering.add(sent);
    void sent.then(() => answering.delete(sent));
  });
}

async function respond(text: string, answer: RequestSocketOptions["answer"]): Promise<string> {
  try {
    return JSON.stringify({ ok: true, result: (await answer(JSON.parse(text))) ?? null });
  } catch (error) {
    const { code, message, hint } =
      error instanceof EngineError
        ? error
        : { code: "internal", message: describeError(error), hint: undefined };
    return JSON.stringify({ ok: false, error: { code, message, hint } });
  }
}

/** Resolves when the line is sent, or the client gone. */
async function finish(socket: Socket, line: string): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    socket.end(`${line}\n`, () => resolve());
  });
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  if (ms === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
