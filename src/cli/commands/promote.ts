import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { phases } from "../../control/clusters/cluster-status.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { connectFor } from "../control-client.ts";
import { waitingFailed } from "../control/watch-object.ts";
import { clusterPath, readCluster, watchCluster } from "../control/cluster-resource.ts";

export interface PromoteOptions extends SocketOptions {
  readonly namespace?: string;
  readonly wait: boolean;
}

const promoted = z.object({ instance: z.string() });

/** `tidemark promote`: a planned switchover, waited for. */
export async function run(
  cluster: string,
  wanted: string | undefined,
  options: PromoteOptions,
  signal: AbortSignal,
): Promise<void> {
  const client = await connectFor(options);
  const namespace = options.namespace ?? "default";
  const body = wanted === undefined ? {} : { instance: wanted };
  const path = `${clusterPath(namespace, cluster)}/promotion`;
  const { instance } = promoted.parse(await client.request(path, { method: "POST", body, signal }));
  process.stdout.write(`${instance} is to become the primary of ${namespace}/${cluster}\n`);
  if (!options.wait) return;
  let last = "";
  const look = `tidemark status ${cluster} -n ${namespace}`;
  try {
    for await (const { status } of watchCluster(client, namespace, cluster, signal)) {
      const text = status.phaseReason === undefined ? status.phase : `${status.phase}: ${status.phaseReason}`;
      if (text !== last) process.stderr.write(`${text}\n`);
      last = text;
      if (status.currentPrimary === instance && status.phase === phases.healthy) {
        process.stdout.write(`${instance} is the primary\n`);
        return;
      }
      if (status.targetPrimary !== instance && status.currentPrimary !== instance) break;
    }
  } catch (error) {
    if (!signal.aborted) throw waitingFailed(error, `the promotion of ${instance}`, look);
  }
  if (signal.aborted) {
    throw new EngineError("aborted", `waiting was stopped; the promotion of ${instance} itself goes on`, {
      hint: `${look} shows it.`,
    });
  }
  const { status } = await readCluster(client, namespace, cluster, signal);
  throw new EngineError(
    "postgres-failed",
    `${instance} has not become the primary: ${status.phaseReason ?? status.phase}`,
    {
      hint: `tidemark describe cluster ${cluster} -n ${namespace} says more.`,
    },
  );
}
