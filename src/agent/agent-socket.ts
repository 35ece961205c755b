import { chown, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { describeError, EngineError } from "../common/errors.ts";
import { kib } from "../common/units.ts";
import type { AgentRequest } from "./agent-client.ts";
import type { Spool } from "./spool.ts";

/** What a Unix socket's path may have at most is 107 bytes on Linux and 103 elsewhere. */
const longestPathBytes = 100;

const requestSchema: z.ZodType<AgentRequest> = z.discriminatedUnion("op", [
  z.object({ op: z.literal("status") }),
  z.object({ op: z.literal("push"), name: z.string() }),
]);

export interface AgentSocket extends AsyncDisposable {
  readonly path: string;
}

/**
 * Listens in the spool, or in a private temporary folder when the spool's path is too long for a socket. Only the owner
 * of the folder can connect. One request a connection: a line of JSON, answered by a line of JSON.
 */
export async function listen(
  spool: Spool,
  answer: (request: AgentRequest) => Promise<unknown>,
): Promise<AgentSocket> {
  const wanted = join(spool.root, "agent.sock");
  const isTooLong = Buffer.byteLength(wanted) > longestPathBytes;
  const path = isTooLong ? join(await mkdtemp(join(tmpdir(), "tidemark-")), "agent.sock") : wanted;
  await rm(path, { force: true });
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serve(socket, answer);
  });
  await new Promise<void>((resolve, reject) => {
    // Once it listens, an error is that of one connection (no file descriptors left, say): its client finds no answer and
    // asks again, or does without the agent.
    server.on("error", (cause) =>
      reject(new EngineError("file-io", `could not listen on "${path}": ${cause.message}`, { cause })),
    );
    server.listen(path, resolve);
  });
  if (spool.owner !== undefined) {
    await chown(path, spool.owner.uid, spool.owner.gid);
    if (isTooLong) await chown(dirname(path), spool.owner.uid, spool.owner.gid);
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      for (const socket of connections) socket.destroy();
      await close(server);
      await rm(isTooLong ? dirname(path) : path, { force: true, recursive: true });
    },
  };
}

function serve(socket: Socket, answer: (request: AgentRequest) => Promise<unknown>): void {
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
    void respond(text, answer).then((line) => socket.end(`${line}\n`));
  });
}

async function respond(text: string, answer: (request: AgentRequest) => Promise<unknown>): Promise<string> {
  try {
    const request = requestSchema.parse(JSON.parse(text));
    return JSON.stringify({ ok: true, result: (await answer(request)) ?? null });
  } catch (error) {
    const { code, message, hint } =
      error instanceof EngineError
        ? error
        : { code: "internal", message: describeError(error), hint: undefined };
    return JSON.stringify({ ok: false, error: { code, message, hint } });
  }
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
