import { request } from "node:http";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { EngineError } from "../../common/errors.ts";
import { findControlSocket, type SocketOptions } from "../../control/state-directory.ts";
import { connectControl } from "../control-client.ts";
import { clusterPath, readCluster } from "../control/cluster-resource.ts";

export interface LogsOptions extends SocketOptions {
  readonly namespace?: string;
  readonly instance?: string;
  readonly process?: boolean;
  readonly follow?: boolean;
}

/** `tidemark logs`: what PostgreSQL or the process beside it has written. */
export async function run(cluster: string, options: LogsOptions, signal: AbortSignal): Promise<void> {
  const socketPath = await findControlSocket(options);
  const namespace = options.namespace ?? "default";
  // Asked the common way first: it words what can go wrong.
  await readCluster(connectControl({ socketPath }), namespace, cluster, signal);
  const query = new URLSearchParams({
    ...(options.instance === undefined ? {} : { instance: options.instance }),
    source: options.process === true ? "process" : "server",
    ...(options.follow === true ? { follow: "true" } : {}),
  });
  const path = `${clusterPath(namespace, cluster)}/logs?${query.toString()}`;
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
