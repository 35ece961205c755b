import { z } from "zod";
import { agentStatusSchema } from "../../agent/agent-status.ts";
import { EngineError } from "../../common/errors.ts";
import { backupJobSchema, failureSchema } from "../instance-status.ts";

/** What the process beside a server says, over its socket. Times are ISO 8601. */

/**
 * Whom PostgreSQL gives its WAL: `agent` is this process. The command itself is not shown: people write passwords into it.
 */
export const archivingBy = ["agent", "nobody", "library", "command"] as const;

const attachedPostgres = z.object({
  version: z.string(),
  role: z.enum(["primary", "standby"]),
  systemIdentifier: z.string(),
  timeline: z.number(),
  startedAt: z.string(),
  archiveMode: z.enum(["off", "on", "always"]),
  archivingBy: z.enum(archivingBy),
  /** PostgreSQL's own view: `pg_stat_archiver`. */
  archiver: z.object({
    lastArchived: z.object({ name: z.string(), at: z.string() }).optional(),
    lastFailed: z.object({ name: z.string(), at: z.string() }).optional(),
  }),
});
export type AttachedPostgres = z.infer<typeof attachedPostgres>;

export const attachedStatusSchema = z.object({
  pid: z.number(),
  startedAt: z.string(),
  /** Of the specification that it follows. */
  specVersion: z.number(),
  /** Of the data directory's control file; undefined while there is none that can be read. */
  systemIdentifier: z.string().optional(),
  /** What `archive_command` must be. */
  archiveCommand: z.string().optional(),
  postgres: attachedPostgres.optional(),
  /** Why PostgreSQL does not say how it is. */
  postgresError: failureSchema.optional(),
  archiving: agentStatusSchema.optional(),
  /** Why nothing is archived although it should be. */
  archivingError: failureSchema.optional(),
  backups: z.array(backupJobSchema),
});
export type AttachedStatus = z.infer<typeof attachedStatusSchema>;

const requestSchema = z.discriminatedUnion("op", [
  z.object({ op: z.literal("status") }),
  /** Reads `server.json` again and follows it. */
  z.object({ op: z.literal("configure") }),
  /** As those of an instance (`instance-status.ts`). */
  z.object({ op: z.literal("backup"), id: z.string(), name: z.string().exactOptional() }),
  z.object({ op: z.literal("cancel-backup"), id: z.string() }),
  z.object({ op: z.literal("forget-backup"), id: z.string() }),
  /** Ends the process; PostgreSQL is left alone. Answered at once. */
  z.object({ op: z.literal("stop") }),
]);
export type AttachedRequest = z.infer<typeof requestSchema>;

/** Reads what came over the socket. Throws `usage` for anything that is no request. */
export function parseAttachedRequest(value: unknown): AttachedRequest {
  const result = requestSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new EngineError("usage", `this is no request to a server's agent: ${problems.join("; ")}`);
}
