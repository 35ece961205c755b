import { z } from "zod";
import { EngineError } from "../../common/errors.ts";
import { backupPhases } from "../../control/backups/backup-status.ts";
import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { parseArchivedName } from "../archived-name.ts";
import { connectFor, type ControlClient } from "../control-client.ts";
import { readCluster, type ClusterObject } from "../control/cluster-resource.ts";
import { backUpServer } from "../control/server-backup.ts";
import { backupFacts, requireInAll, shownBackupFields } from "../control/backup-facts.ts";
import { waitForBackup } from "../control/wait-for-backup.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";

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
      ...shownBackupFields,
    })
    .default({ phase: "" }),
});
type BackupObject = z.infer<typeof backupSchema>;

/** `tidemark backup`: makes a Backup by the way that the cluster has, or asks for one of a server, and waits for its end. */
export async function run(whose: string, options: BackupOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const namespace = options.namespace ?? "default";
  const { kind, name } = parseArchivedName(whose);
  const client = await connectFor(options);
  if (kind === "Server") {
    await backUpServer(client, { namespace, name }, { ...options, format }, signal);
    return;
  }
  const manifest = backupOf(await readCluster(client, namespace, name, signal), options, new Date());
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
  if (format === "text") process.stdout.write(formatFacts(backupFacts(status)));
  requireInAll(`Backup ${namespace}/${made.metadata.name}`, status);
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
  return waitForBackup(
    {
      client,
      path,
      name,
      read: (object) => {
        const backup = backupSchema.parse(object);
        return backup.metadata.uid === uid ? backup : undefined;
      },
      statusOf: ({ status }) => status,
      what: `Backup "${name}"`,
      look: `tidemark get backup ${name} -n ${namespace}`,
      afterwards: `tidemark delete backup ${name} -n ${namespace} gives it up.`,
    },
    signal,
  );
}
