import { request } from "node:http";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { EngineError } from "../../common/errors.ts";
import { findControlSocket, type SocketOptions } from "../../control/state-directory.ts";
import { parseArchivedName } from "../archived-name.ts";
import { connectControl } from "../control-client.ts";
import { clusterPath, readCluster } from "../control/cluster-resource.ts";
import { readServer, serverPath } from "../control/server-resource.ts";

export interface LogsOptions extends SocketOptions {
  readonly namespace?: string;
  readonly instance?: string;
  readonly process?: boolean;
  readonly follow?: boolean;
}

/** `tidemark logs`: what PostgreSQL or the process beside it has written; of a server that is not ours, the latter. */
export async function run(whose: string, options: LogsOptions, signal: AbortSignal): Promise<void> {
  const { kind, name } = parseArchivedName(whose);
  if (kind === "Server" && options.instance !== undefined) {
    throw new EngineError("usage", "a Server is one PostgreSQL, which has no --instance");
  }
  const socketPath = await findControlSocket(options);
  const namespace = options.namespace ?? "default";
  const client = connectControl({ socketPath });
  // Asked the common way first: it words what can go wrong.
  await (kind === "Server" ? readServer : readCluster)(client, namespace, name, signal);
  const query = new URLSearchParams({
    ...(options.instance === undefined ? {} : { instance: options.instance }),
    ...(kind === "Server" ? {} : { source: options.process === true ? "process" : "server" }),
    ...(options.follow === true ? { follow: "true" } : {}),
  });
  const owner = kind === "Server" ? serverPath(namespace, name) : clusterPath(namespace, name);
  const path = `${owner}/logs?${query.toString()}`;
  const outgoing = request({ socketPath, path, agent: false, headers: { host: "localhost" }, signal });
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw refusal(await text(response));
  try {
    await pipeline(response, process.stdout, { signal, end: false });
  } catch (cause) {
    if (signal.aborted) return;
    throw new EngineError("control-unreachable", "the control plane ended before the log did", {
      cause,
      hint: "The instance may go on without it. Start it with: tidemark up.",
    });
  }
}

function refusal(body: string): EngineError {
  const { message, tidemark } = JSON.parse(body) as {
    readonly message: string;
    readonly tidemark?: { readonly hint?: string };
  };
  return new EngineError(
    "resource-missing",
    message,
    tidemark?.hint === undefined ? {} : { hint: tidemark.hint },
  );
}
