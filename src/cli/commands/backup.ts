import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { backupPhases } from "../../control/backups/backup-status.ts";
import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { readCluster, type ClusterObject } from "../control/cluster-resource.ts";
import { waitingFailed, watchObject } from "../control/watch-object.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { createProgressReporter } from "../progress.ts";

export interface BackupOptions extends SocketOptions {
  readonly namespace?: string;
  readonly backupName?: string;
  readonly target?: string;
  readonly wait: boolean;
  readonly output?: string;
}

const backupSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string() }),
  status: z
    .looseObject({
      phase: z.string().default(""),
      error: z.string().optional(),
      backupId: z.string().optional(),
      startedAt: z.string().optional(),
      stoppedAt: z.string().optional(),
      beginWal: z.string().optional(),
      endWal: z.string().optional(),
      progress: z
        .object({ doneBytes: z.number(), totalBytes: z.number().optional(), phase: z.string() })
        .optional(),
    })
    .default({ phase: "" }),
});
type BackupObject = z.infer<typeof backupSchema>;

/** `tidemark backup`: makes a Backup by the way that the cluster has, and waits for its end. */
export async function run(cluster: string, options: BackupOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const namespace = options.namespace ?? "default";
  const client = await connectFor(options);
  const manifest = backupOf(await readCluster(client, namespace, cluster, signal), options, new Date());
  const path = `/apis/postgresql.cnpg.io/v1/namespaces/${encodeURIComponent(namespace)}/backups`;
  const made = backupSchema.parse(await client.request(path, { method: "POST", body: manifest, signal }));
  if (format === "text") process.stdout.write(`backup/${made.metadata.name} created\n`);
  const ended = options.wait ? await waitForEnd(client, path, made, namespace, signal) : made;
  if (format === "json") process.stdout.write(formatJson(ended));
  if (!options.wait) return;
  const { status } = ended;
  if (status.phase !== backupPhases.completed) {
    throw new EngineError(
      "backup-failed",
      `Backup ${namespace}/${made.metadata.name} has failed: ${status.error ?? status.phase}`,
      {
        hint: `tidemark describe backup ${made.metadata.name} -n ${namespace} says more.`,
      },
    );
  }
  if (format === "text") process.stdout.write(formatFacts(factsOf(status)));
}

/** Without saying how, CloudNativePG would take the in-tree way, and fail where there is only the plugin. */
function backupOf(
  { metadata, spec }: ClusterObject,
  options: BackupOptions,
  now: Date,
): Record<string, unknown> {
  const stamp = now.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, "");
  const plugin = spec.plugins?.find(({ name, enabled }) => name === barmanPlugin && enabled !== false);
  const how =
    plugin === undefined
      ? { method: "barmanObjectStore" }
      : { method: "plugin", pluginConfiguration: { name: barmanPlugin } };
  return {
    apiVersion: "postgresql.cnpg.io/v1",
    kind: "Backup",
    metadata: { name: options.backupName ?? `${metadata.name}-${stamp}`, namespace: metadata.namespace },
    spec: {
      cluster: { name: metadata.name },
      ...how,
      ...(options.target === undefined ? {} : { target: options.target }),
    },
  };
}

async function waitForEnd(
  client: ControlClient,
  path: string,
  made: BackupObject,
  namespace: string,
  signal: AbortSignal,
): Promise<BackupObject> {
  const { name, uid } = made.metadata;
  const look = `tidemark get backup ${name} -n ${namespace}`;
  const reporter = createProgressReporter(process.stderr);
  const startedMs = performance.now();
  try {
    for await (const object of watchObject(client, path, name, signal)) {
      const backup = backupSchema.parse(object);
      if (backup.metadata.uid !== uid) continue;
      const { phase, progress } = backup.status;
      if (phase === backupPhases.completed || phase === backupPhases.failed) return backup;
      reporter.update({
        label: progress?.phase ?? (phase === "" ? backupPhases.pending : phase),
        bytesDone: progress?.doneBytes ?? 0,
        bytesTotal: progress?.totalBytes,
        elapsedMs: performance.now() - startedMs,
      });
    }
  } catch (error) {
    if (!signal.aborted) throw waitingFailed(error, `Backup "${name}"`, look);
  } finally {
    reporter.finish();
  }
  if (signal.aborted) {
    throw new EngineError("aborted", `waiting for Backup "${name}" was stopped; the backup itself goes on`, {
      hint: `${look} shows it; tidemark delete backup ${name} -n ${namespace} gives it up.`,
    });
  }
  throw new EngineError("backup-failed", `Backup "${name}" was deleted while it was waited for`);
}

function factsOf({
  backupId,
  startedAt,
  stoppedAt,
  beginWal,
  endWal,
}: BackupObject["status"]): [string, string][] {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["backup", backupId],
    ["began", startedAt],
    ["ended", stoppedAt],
    ["WAL", beginWal === undefined ? undefined : `${beginWal} to ${endWal ?? "?"}`],
  ];
  return facts.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
}
