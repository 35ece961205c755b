import { z } from "zod";
import { backupPhases } from "../backups/backup-status.ts";
import { conditionsSchema, type Condition } from "../resources/conditions.ts";
import { readScheduleStatus, type ScheduleStatus } from "../schedules/schedule-status.ts";

/**
 * The status of a Server. Base backups are entries of it and no objects of their own: a Backup of CloudNativePG names a Cluster.
 * Times are ISO 8601, UTC.
 */

const text = z.string().optional();

const serverBackup = z.object({
  /** Also the ID of the agent's job. `<schedule>-20261121030000`, or as whoever asked for it has called it. */
  name: z.string(),
  /** Which of the Server's schedules made it; without one somebody asked for it. */
  schedule: text,
  immediate: z.boolean().optional(),
  createdAt: z.string(),
  phase: z.enum([backupPhases.pending, backupPhases.running, backupPhases.completed, backupPhases.failed]),
  /** Since when it cannot begin for something that is wrong. */
  troubledSince: text,
  startedAt: text,
  stoppedAt: text,
  backupId: text,
  beginWal: text,
  endWal: text,
  storedBytes: z.number().optional(),
  damagedPages: z.number().optional(),
  /** Stores that do not have it although it is complete, and why. */
  missing: z.array(z.object({ store: z.string(), error: z.string() })).optional(),
  progress: z
    .object({ doneBytes: z.number(), totalBytes: z.number().optional(), phase: z.string() })
    .optional(),
  /** Why it has failed, or cannot begin. */
  error: text,
});
export type ServerBackup = Readonly<z.infer<typeof serverBackup>>;

const schema = z.object({
  systemID: text,
  firstRecoverabilityPoint: text,
  lastSuccessfulBackup: text,
  lastFailedBackup: text,
  schedules: z.array(z.looseObject({ name: z.string() })).optional(),
  backups: z.array(serverBackup).optional(),
  conditions: conditionsSchema.optional(),
});

/** What later decisions need of an earlier status. */
export interface RememberedServer extends Omit<
  z.infer<typeof schema>,
  "schedules" | "backups" | "conditions"
> {
  readonly schedules: ReadonlyMap<string, ScheduleStatus>;
  /** Oldest first. */
  readonly backups: readonly ServerBackup[];
  readonly conditions: readonly Condition[];
}

/** What cannot be read counts as never said: schedules are then looked at as new ones. */
export function readServerStatus(status: unknown): RememberedServer {
  const parsed = schema.safeParse(status ?? {});
  const { schedules = [], backups = [], conditions = [], ...rest } = parsed.success ? parsed.data : {};
  return {
    ...rest,
    schedules: new Map(schedules.map((entry) => [entry.name, readScheduleStatus(entry)])),
    backups,
    conditions,
  };
}
