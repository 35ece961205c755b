import { EngineError } from "../../common/errors.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { parseArchivedName } from "../archived-name.ts";
import { connectFor } from "../control-client.ts";
import { listClusters } from "../control/cluster-resource.ts";
import { clusterSafety, formatCluster } from "../control/cluster-safety.ts";
import { listServers } from "../control/server-resource.ts";
import { formatServer, serverSafety } from "../control/server-safety.ts";
import { formatJson, parseOutputFormat } from "../output.ts";

export interface StatusOptions extends SocketOptions {
  readonly namespace?: string;
  readonly output?: string;
}

/** `tidemark status`: am I safe? Of one cluster or server, or of all. */
export async function run(
  whose: string | undefined,
  options: StatusOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const wanted = whose === undefined ? undefined : parseArchivedName(whose);
  const client = await connectFor(options);
  const namespace = wanted === undefined ? options.namespace : (options.namespace ?? "default");
  const isShown = ({ metadata }: { readonly metadata: { readonly name: string } }): boolean =>
    wanted === undefined || metadata.name === wanted.name;
  const clusters =
    wanted?.kind === "Server" ? [] : (await listClusters(client, namespace, signal)).filter(isShown);
  const servers =
    wanted?.kind === "Cluster" ? [] : (await listServers(client, namespace, signal)).filter(isShown);
  if (wanted !== undefined && clusters.length + servers.length === 0) {
    throw new EngineError(
      "resource-missing",
      `there is no ${wanted.kind} ${options.namespace ?? "default"}/${wanted.name}`,
      { hint: `tidemark get ${wanted.kind.toLowerCase()}s -A lists them.` },
    );
  }
  if (format === "json") {
    const safety = { clusters: clusters.map(clusterSafety), servers: servers.map(serverSafety) };
    process.stdout.write(formatJson(safety));
    return;
  }
  const texts = [...clusters.map(formatCluster), ...servers.map(formatServer)];
  process.stdout.write(
    texts.length === 0
      ? "There are no clusters and no servers. Apply one with: tidemark apply -f FILE\n"
      : texts.join("\n"),
  );
}
