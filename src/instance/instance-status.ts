import { z } from "zod";
import { agentStatusSchema } from "../agent/agent-status.ts";

/** What the process of an instance says of it, over its socket. Times are ISO 8601. */

export const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
});
export type InstanceFailure = z.infer<typeof failureSchema>;

/** A base backup that the instance was asked for, by whoever asked's own ID. Kept until it is forgotten. */
export const backupJobSchema = z.object({
  id: z.string(),
  state: z.enum(["running", "completed", "failed"]),
  /** `starting`, `copying`, …: of the backup itself. */
  phase: z.string(),
  doneBytes: z.number(),
  totalBytes: z.number().optional(),
  startedAt: z.string(),
  stoppedAt: z.string().optional(),
  /** Set as soon as it is known. */
  backupId: z.string().optional(),
  result: z
    .object({
      beginWal: z.string(),
      endWal: z.string(),
      beginLsn: z.string(),
      endLsn: z.string(),
      timeline: z.number(),
      /** Of the backup, as its `backup.info` says. */
      beginTime: z.string(),
      endTime: z.string(),
      /** In the first repository that has it. */
      storedBytes: z.number(),
      damagedPages: z.number(),
      /** Repositories that it is not in, and why. */
      missing: z.array(z.object({ name: z.string(), message: z.string() })).optional(),
    })
    .optional(),
  error: failureSchema.optional(),
});
export type BackupJob = z.infer<typeof backupJobSchema>;

/** Why a standby does not follow its primary, in the words of its server or of its process. */
const standbyTrouble = z.object({
  /**
   * `diverged`: it has WAL that is not in its primary's history. `wal-removed`: its primary does not have the WAL any more that
   * it needs. `damaged`: its data directory is not whole. None of these passes by itself, but for WAL that an archive has.
   */
  kind: z.enum(["diverged", "wal-removed", "damaged", "other"]),
  message: z.string(),
});
export type StandbyTrouble = z.infer<typeof standbyTrouble>;

/** What became of the WAL that a primary which is gone had not sent. */
const walRescue = z.object({
  /** Of whoever asked. */
  key: z.string(),
  state: z.enum(["running", "done", "failed"]),
  /** Where its valid WAL ends (`X/X`), when done: a standby that has replayed up to there has everything. */
  endLsn: z.string().optional(),
  /** Why nothing could be had, when failed. */
  message: z.string().optional(),
  /** WAL files among it that are still to be archived. */
  waitingFiles: z.number(),
  /** Why they could not be. */
  archivingError: z.string().optional(),
});
export type WalRescueStatus = z.infer<typeof walRescue>;

export const instanceStatusSchema = z.object({
  pid: z.number(),
  startedAt: z.string(),
  /** Of the specification that it follows. */
  specVersion: z.number(),
  /**
   * `bootstrapping`: there is no data directory yet. `starting`: the server does not accept connections yet, or is being
   * restarted. `failed`: it was given up for now; `error` says why, and when it is tried again `retryAt`.
   */
  phase: z.enum(["bootstrapping", "starting", "running", "stopping", "stopped", "failed"]),
  /** Whether the data directory is there and whole: then a failure is the server's, else that of the bootstrap. */
  bootstrapped: z.boolean().optional(),
  /** In words: what a bootstrap or start is at. */
  activity: z.string().optional(),
  error: failureSchema.optional(),
  retryAt: z.string().optional(),
  /** Of a recovery bootstrap: how it was planned, in lines for a person, and where it ended. */
  recovery: z
    .object({
      plan: z.array(z.string()),
      backupId: z.string(),
      reachedLsn: z.string().optional(),
      stopReason: z.string().optional(),
      lastTransactionTime: z.string().optional(),
    })
    .optional(),
  postgres: z
    .object({
      pid: z.number(),
      version: z.string(),
      role: z.enum(["primary", "standby"]),
      systemIdentifier: z.string(),
      timeline: z.number(),
      /** Of the last checkpoint or restart point: a backup of a standby begins there. */
      checkpointTimeline: z.number().optional(),
      /** Written on a primary, replayed on a standby. */
      lsn: z.string(),
      /** On a standby: what it has durably, replayed or not. */
      receivedLsn: z.string().optional(),
      startedAt: z.string(),
      /** A parameter has changed that only a restart takes up. */
      pendingRestart: z.boolean(),
      /** On a primary: its standbys. On a standby: whether it streams. */
      replication: z.array(
        z.object({
          name: z.string(),
          state: z.string(),
          lagBytes: z.number(),
        }),
      ),
      /** Of all databases, and of `pg_wal`; absent until they have been measured. */
      dataBytes: z.number().optional(),
      walBytes: z.number().optional(),
    })
    .optional(),
  /** Of a standby that does not stream, since it last did. */
  trouble: standbyTrouble.optional(),
  rescue: walRescue.optional(),
  archiving: agentStatusSchema.optional(),
  /** Why nothing is archived although it should be: a repository that cannot be opened, an archive that is not empty. */
  archivingError: failureSchema.optional(),
  backups: z.array(backupJobSchema),
});
export type InstanceStatus = z.infer<typeof instanceStatusSchema>;

/** What can be asked of the process; each request is answered by one line of JSON. */
export type InstanceRequest =
  | { readonly op: "status" }
  /** Reads `instance.json` again and follows it. Answers when it has been read, not when all is done. */
  | { readonly op: "configure" }
  /**
   * Begins a base backup under this ID of the asker's. Answered when the job is noted durably; the same ID again changes
   * nothing; `locked` while another one runs.
   */
  | { readonly op: "backup"; readonly id: string; readonly name?: string }
  /** Gives up a backup that is running; answered when it has ended and is forgotten. One that has ended is forgotten. */
  | { readonly op: "cancel-backup"; readonly id: string }
  /** Forgets a backup that has ended. */
  | { readonly op: "forget-backup"; readonly id: string }
  /**
   * For a standby that is to take over: collects the WAL which the primary on that data directory had not sent, so that it is
   * replayed and archived. No server may run there any more. Answered when it has begun; the status says how it goes. The same
   * key again changes nothing.
   */
  | { readonly op: "rescue"; readonly key: string; readonly dataDirectory: string }
  /** Makes a standby a primary. Answers when it accepts writes. */
  | { readonly op: "promote" }
  /** Answers when the server accepts connections again. */
  | { readonly op: "restart" }
  /** Ends the server and the process; answers when the server is gone. */
  | { readonly op: "stop"; readonly mode: "smart" | "fast" | "immediate" };
