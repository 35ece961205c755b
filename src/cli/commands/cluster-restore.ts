import { stringify } from "yaml";
import { z } from "zod";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { phases } from "../../control/clusters/cluster-status.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { describePlan } from "../../restore/plan-text.ts";
import type { RestorePlanSummary } from "../../restore/plan-summary.ts";
import type { ManifestText } from "../../manifest/manifest-object.ts";
import { formatFinding } from "../apply-output.ts";
import { confirm } from "../confirm.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { applyTexts, requireAccepted, sendTexts } from "../control/apply-texts.ts";
import { clusterPath, readCluster, watchCluster } from "../control/cluster-resource.ts";
import { waitingFailed } from "../control/watch-object.ts";
import { parseClusterTarget } from "../control/cluster-target.ts";
import { restoreFailure } from "../control/restore-failure.ts";
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
  furtherObjectStores: z.array(z.string()).default([]),
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
  await requireNoCluster(client, namespace, options.as, signal);
  const timeline = parseTimeline(options.timeline);
  const body = { target, timeline, backup: options.backup ?? "auto" };
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
    isBackupGiven: options.backup !== undefined,
    timeline,
    major: plan.backup.postgresMajor,
  });
  // kubectl reads YAML 1.1, where a plain `on` is no text.
  const text = stringify(manifest, { version: "1.1", lineWidth: 0 });
  process.stdout.write(options.dryRun === true ? text : `\n${text}\n`);
  const texts = [{ path: "-", text }];
  if (options.dryRun === true) {
    await requireAcceptable(client, texts, namespace, signal);
    return;
  }
  await confirm(`Make Cluster ${namespace}/${options.as} of it?`, options, signal);
  // Somebody may have made one while the question stood.
  await requireNoCluster(client, namespace, options.as, signal);
  await applyTexts(client, texts, { namespace, signal });
  if (options.wait) await waitUntilHealthy(client, namespace, options.as, signal);
}

/**
 * Applied to a cluster that is there, the manifest would change its instances and parameters, and restore nothing, since a
 * cluster is bootstrapped once.
 */
async function requireNoCluster(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await readCluster(client, namespace, name, signal);
  } catch (error) {
    if (isEngineError(error, "resource-missing")) return;
    throw error;
  }
  throw new EngineError("usage", `--as is "${name}", and there is a Cluster ${namespace}/${name} already`, {
    hint: "A restore makes a new cluster: give it a name that none has.",
  });
}

/** What would be said of the manifest, and whether it would be refused. */
async function requireAcceptable(
  client: ControlClient,
  texts: readonly ManifestText[],
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const result = await sendTexts(client, texts, { namespace, dryRun: true, signal });
  for (const finding of result.findings) process.stderr.write(formatFinding(finding));
  requireAccepted(result);
}

async function waitUntilHealthy(
  client: ControlClient,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  let last = "";
  try {
    for await (const restored of watchCluster(client, namespace, name, signal)) {
      const { status } = restored;
      const text = status.phaseReason === undefined ? status.phase : `${status.phase}: ${status.phaseReason}`;
      if (text !== last && text !== "") process.stderr.write(`${text}\n`);
      last = text;
      if (status.phase === phases.healthy) {
        process.stdout.write(`cluster/${name} is ready; tidemark psql ${name} -n ${namespace}\n`);
        return;
      }
      const failure = restoreFailure(restored);
      if (failure !== undefined) throw failure;
    }
  } catch (error) {
    if (!signal.aborted) {
      throw waitingFailed(error, `Cluster ${namespace}/${name}`, `tidemark status ${name} -n ${namespace}`);
    }
  }
  if (!signal.aborted) {
    throw new EngineError("aborted", `Cluster ${namespace}/${name} was deleted while it was waited for`);
  }
  throw new EngineError(
    "aborted",
    `waiting for Cluster ${namespace}/${name} was stopped; the restore itself goes on`,
    {
      hint: `tidemark status ${name} -n ${namespace} shows it; tidemark delete cluster ${name} -n ${namespace} gives it up.`,
    },
  );
}
