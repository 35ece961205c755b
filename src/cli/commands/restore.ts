import { stringify } from "yaml";
import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { phases } from "../../control/clusters/cluster-status.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { describePlan } from "../../restore/plan-text.ts";
import type { RestorePlanSummary } from "../../restore/plan-summary.ts";
import { confirm } from "../confirm.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { applyTexts } from "../control/apply-texts.ts";
import { clusterPath, readCluster, watchCluster } from "../control/cluster-resource.ts";
import { parseClusterTarget } from "../control/cluster-target.ts";
import { restoredCluster } from "../control/restored-cluster.ts";
import { formatFacts } from "../output.ts";
import { parseTimeline } from "../restore-target.ts";

export interface ClusterRestoreOptions extends SocketOptions {
  readonly namespace?: string;
  readonly to: string;
  readonly as: string;
  readonly exclusive?: boolean;
  readonly timeline?: string;
  readonly backup?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly wait: boolean;
}

const previewSchema = z.object({
  objectStore: z.string().nullable(),
  repository: z.string(),
  serverName: z.string(),
  plan: z.custom<RestorePlanSummary>((value) => typeof value === "object" && value !== null),
});

/** `tidemark restore`: another cluster's data at a moment, as a new cluster. The plan first, then its manifest, then a question. */
export async function run(
  cluster: string,
  options: ClusterRestoreOptions,
  signal: AbortSignal,
): Promise<void> {
  const { target, notes } = parseClusterTarget(options.to, options.exclusive === true);
  const namespace = options.namespace ?? "default";
  const client = await connectFor(options);
  const origin = await readCluster(client, namespace, cluster, signal);
  const body = { target, timeline: parseTimeline(options.timeline), backup: options.backup ?? "auto" };
  const answer = await client.request(`${clusterPath(namespace, cluster)}/recovery-plan`, {
    method: "POST",
    body,
    signal,
  });
  const { plan, repository, ...source } = previewSchema.parse(answer);
  process.stderr.write(
    formatFacts([
      ["from", `${namespace}/${cluster}, repository ${repository}`],
      ...describePlan(plan),
      ...notes.map((note): [string, string] => ["note", note]),
    ]),
  );
  const manifest = restoredCluster(origin, options.as, target, {
    ...source,
    backupId: plan.backup.id,
    major: plan.backup.postgresMajor,
  });
  // kubectl reads YAML 1.1, where a plain `on` is no text.
  const text = stringify(manifest, { version: "1.1", lineWidth: 0 });
  process.stdout.write(options.dryRun === true ? text : `\n${text}\n`);
  if (options.dryRun === true) return;
  await confirm(`Make Cluster ${namespace}/${options.as} of it?`, options, signal);
  await applyTexts(client, [{ path: "-", text }], { namespace, signal });
  if (options.wait) await waitUntilHealthy(client, namespace, options.as, signal);
}

async function waitUntilHealthy(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  let last = "";
  for await (const { status } of watchCluster(client, namespace, name, signal)) {
    const text = status.phaseReason === undefined ? status.phase : `${status.phase}: ${status.phaseReason}`;
    if (text !== last && text !== "") process.stderr.write(`${text}\n`);
    last = text;
    if (status.phase === phases.healthy) {
      process.stdout.write(`cluster/${name} is ready; tidemark psql ${name} -n ${namespace}\n`);
      return;
    }
  }
  throw new EngineError(
    "aborted",
    `waiting for Cluster ${namespace}/${name} has ended; it goes on by itself`,
    {
      hint: `tidemark status ${name} -n ${namespace} shows it; tidemark delete cluster ${name} -n ${namespace} gives it up.`,
    },
  );
}
