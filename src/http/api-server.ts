import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { isListening } from "../agent/agent-client.ts";
import { describeError, EngineError } from "../common/errors.ts";
import { requireSafe, tcpGuard, type TcpOptions } from "./tcp-guard.ts";

/** What answers requests: `createApi`. */
export interface Answering {
  fetch(request: Request): Response | Promise<Response>;
}

export interface ApiServerOptions {
  readonly app: Answering;
  /** Only this user and root can connect: the socket has the mode 0600. */
  readonly socketPath?: string;
  readonly tcp?: TcpOptions;
}

export interface ApiServer extends AsyncDisposable {
  /** The port that was opened, where one was asked for. */
  readonly tcpPort: number | undefined;
}

/** Many more than a machine's people and dashboards; each may watch for as long as it likes. */
const maxConnections = 512;

/**
 * Listens until it is disposed of; then requests that are under way are cut off, and the socket is removed. Throws `locked`
 * when somebody listens on the socket, `config` for a port that is no safe one, `file-io` when it cannot listen.
 */
export async function startApiServer({ app, socketPath, tcp }: ApiServerOptions): Promise<ApiServer> {
  if (tcp !== undefined) requireSafe(tcp);
  const servers: Server[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map(close));
    if (socketPath !== undefined) await rm(socketPath, { force: true });
  };
  try {
    if (socketPath !== undefined) {
      await removeStale(socketPath);
      servers.push(await listenOnSocket(app, socketPath));
    }
    const tcpServer = tcp === undefined ? undefined : await listenOnPort(app, tcp);
    if (tcpServer !== undefined) servers.push(tcpServer);
    return { tcpPort: tcpServer && portOf(tcpServer), [Symbol.asyncDispose]: stop };
  } catch (error) {
    // A socket that somebody else listens on is theirs.
    if (servers.length > 0) await stop();
    throw error;
  }
}

/** What a killed process left behind. */
async function removeStale(socketPath: string): Promise<void> {
  if (await isListening(socketPath)) {
    throw new EngineError("locked", `another process listens on "${socketPath}"`, {
      hint: "Stop the other control plane first, or give this one a state directory of its own.",
    });
  }
  await rm(socketPath, { force: true });
}

async function listenOnSocket(app: Answering, path: string): Promise<Server> {
  const server = serverFor(async (request) => app.fetch(request));
  // The socket is made within `listen` itself: there is no moment at which others could connect.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await listening(server, path);
  return server;
}

async function listenOnPort(app: Answering, { host, port, token }: TcpOptions): Promise<Server> {
  let guard: ReturnType<typeof tcpGuard> | undefined;
  const server: Server = serverFor(async (request) => {
    // The port is known when the first request is there, and not before.
    guard ??= tcpGuard({ token, port: portOf(server) });
    return guard(request) ?? app.fetch(request);
  });
  server.listen({ host, port, exclusive: true });
  await listening(server, `${host}:${port}`);
  return server;
}

function serverFor(answer: (request: Request) => Promise<Response>): Server {
  const listener = getRequestListener(answer, {
    // For clients of HTTP/1.0, which send no Host.
    hostname: "localhost",
    // Other parts of the process use the globals of Node.
    overrideGlobalObjects: false,
  });
  const server = createServer((incoming, outgoing) => {
    // Never rejects: what it throws, it answers.
    void listener(incoming, outgoing);
  });
  server.maxConnections = maxConnections;
  return server;
}

async function listening(server: Server, place: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", (cause) =>
      reject(
        new EngineError("file-io", `could not listen on "${place}": ${describeError(cause)}`, { cause }),
      ),
    );
  });
  // Of single connections (no file descriptors left, say): the client finds no answer and asks again.
  server.on("error", () => undefined);
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
