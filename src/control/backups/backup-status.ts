import { z } from "zod";

/**
 * The status of a Backup, with CloudNativePG's fields and words (its `backup_types.go`; spec: sections 8.2 and 8.3), and
 * what is ours: from `clusterUID` on. Times are ISO 8601, whole seconds, UTC. Only the reconciler of Backups writes it.
 */

export const backupPhases = {
  pending: "pending",
  started: "started",
  /** In-tree only: with the plugin it stays `started`. */
  running: "running",
  completed: "completed",
  failed: "failed",
  /** In-tree only: with the plugin it is `pending`, with the same error. */
  walArchivingFailing: "walArchivingFailing",
  invalid: "invalid backup definition",
} as const;

const text = z.string().optional();

/** One repository that the data went to. */
const destination = z.object({
  /** Undefined in-tree. */
  objectStore: text,
  destinationPath: z.string(),
  endpointURL: text,
  serverName: z.string(),
  /** Of a backup that is complete: why it is not here; undefined where it is. */
  error: text,
});
export type BackupDestination = z.infer<typeof destination>;

const schema = z.object({
  phase: text,
  error: text,
  method: z.enum(["plugin", "barmanObjectStore", "volumeSnapshot"]).optional(),
  backupId: text,
  backupName: text,
  startedAt: text,
  stoppedAt: text,
  reconciliationStartedAt: text,
  reconciliationTerminatedAt: text,
  beginWal: text,
  endWal: text,
  beginLSN: text,
  endLSN: text,
  /** Which process was asked: the session is another after each of its starts. */
  instanceID: z.object({ podName: z.string(), sessionID: z.string() }).optional(),
  majorVersion: z.number().optional(),
  online: z.boolean().optional(),
  pluginMetadata: z.record(z.string(), z.string()).optional(),
  // A copy of where the first repository is; the credentials are references to Secrets.
  destinationPath: text,
  endpointURL: text,
  endpointCA: z.unknown().optional(),
  serverName: text,
  encryption: text,
  s3Credentials: z.unknown().optional(),
  azureCredentials: z.unknown().optional(),
  googleCredentials: z.unknown().optional(),

  clusterUID: text,
  destinations: z.array(destination).optional(),
  progress: z
    .object({ doneBytes: z.number(), totalBytes: z.number().optional(), phase: z.string() })
    .optional(),
  /** In the first repository that has it. */
  storedBytes: z.number().optional(),
  /** With any, the backup is complete and someone must look at the server's disk. */
  damagedPages: z.number().optional(),
  /** How many times it was started. */
  attempts: z.number().optional(),
  /** What the instance's server was when it was started. */
  instanceRole: z.enum(["primary", "standby"]).optional(),
  /** What it waits for that must not take for ever, and since when. */
  waiting: z.object({ for: z.enum(["archiving", "instance", "job", "role"]), since: z.string() }).optional(),
});

export type BackupStatus = Readonly<z.infer<typeof schema>>;
export type BackupMethod = NonNullable<BackupStatus["method"]>;

/** What cannot be read counts as never said: the Backup is then looked at as a new one. */
export function readBackupStatus(status: unknown): BackupStatus {
  const parsed = schema.safeParse(status ?? {});
  return parsed.success ? parsed.data : {};
}

/** `completed` and `failed` are final: such a Backup is never touched again. */
export function isFinished({ phase }: BackupStatus): boolean {
  return phase === backupPhases.completed || phase === backupPhases.failed;
}

/** An instance has been asked for it. */
export function isUnderWay({ phase }: BackupStatus): boolean {
  return phase === backupPhases.started || phase === backupPhases.running;
}
