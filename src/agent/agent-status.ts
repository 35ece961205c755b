import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import { formatBytes } from "../common/units.ts";
import { readReadyFiles } from "./ready-files.ts";
import { askAgent, readAgentState } from "./agent-client.ts";
import { repositoryStatusSchema } from "./repository-status.ts";
import { spoolAt, spoolRootOf } from "./spool.ts";
import { parseSystemIdentifier, type SystemIdentifier } from "../postgres/system-identifier.ts";

const event = z.object({
  name: z.string(),
  at: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** What `tidemark agent status -o json` prints; times are ISO 8601. */
export const agentStatusSchema = z.object({
  pid: z.number(),
  systemIdentifier: z.string(),
  dataDirectory: z.string(),
  startedAt: z.string(),
  /** WAL files that PostgreSQL has ready and that are not archived as the policy asks. */
  waitingFiles: z.number(),
  waitingBytes: z.number(),
  /** Since when the oldest of them is ready. */
  oldestWaitingSince: z.string().optional(),
  /** WAL files archived per second, lately. */
  drainPerSecond: z.number(),
  /** By how much the backlog grows; negative while it drains. */
  growthBytesPerSecond: z.number(),
  /** On the file system of pg_wal. */
  freeBytes: z.number(),
  /** At this growth; absent when the backlog does not grow. */
  diskFullInMs: z.number().optional(),
  lastArchived: event.optional(),
  lastFailure: event.optional(),
  /** Files that need a person: refused, or in conflict. At most ten are listed. */
  refused: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
  policy: z.union([z.literal("all"), z.number(), z.array(z.string())]),
  repositories: z.array(repositoryStatusSchema),
  /** Segments that no repository has, between others that some do; at most ten are named. */
  holes: z.object({ files: z.number(), names: z.array(z.string()) }).optional(),
  rssBytes: z.number(),
});

export type AgentStatus = z.infer<typeof agentStatusSchema>;

/**
 * Asks the agent how archiving stands. Without a living agent it throws `agent-unreachable` with what the disk tells:
 * how many WAL files wait (`details.waitingFiles`).
 */
export async function agentStatus(where: {
  readonly spoolDirectory: string;
  /** Needed only when the spool serves several systems. */
  readonly systemIdentifier?: SystemIdentifier;
  readonly timeoutMs?: number;
}): Promise<AgentStatus> {
  const root = await findSpoolRoot(where.spoolDirectory, where.systemIdentifier);
  try {
    const answer = await askAgent(root, { op: "status" }, where.timeoutMs ?? 5000);
    return agentStatusSchema.parse(answer);
  } catch (error) {
    if (error instanceof EngineError && error.code === "agent-unreachable")
      throw await withBacklog(root, error);
    throw error;
  }
}

/** The one spool below the directory, or the one of this system. Throws `agent-unreachable`, or `usage` when unclear. */
export async function findSpoolRoot(spoolDirectory: string, identifier?: SystemIdentifier): Promise<string> {
  if (identifier !== undefined) return spoolRootOf(spoolDirectory, identifier);
  let names: string[] = [];
  try {
    names = (await readdir(spoolDirectory)).filter((name) => /^\d+$/.test(name));
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
  const [first] = names;
  if (first === undefined) {
    throw new EngineError("agent-unreachable", `no agent has used the spool "${spoolDirectory}"`, {
      hint: "Start one with: tidemark agent.",
    });
  }
  if (names.length > 1) {
    throw new EngineError(
      "usage",
      `the spool "${spoolDirectory}" serves ${names.length} PostgreSQL systems`,
      {
        hint: `Say which one: ${names.join(", ")}.`,
      },
    );
  }
  return spoolRootOf(spoolDirectory, parseSystemIdentifier(first));
}

/** Adds what can be seen without the agent. */
async function withBacklog(root: string, error: EngineError): Promise<EngineError> {
  const state = await readAgentState(spoolAt(root).stateFile).catch(() => undefined);
  if (state === undefined) return error;
  const walDirectory = join(state.dataDirectory, "pg_wal");
  const ready = await readReadyFiles(walDirectory).catch(() => []);
  const sizes = await Promise.all(
    ready.map(async ({ name }) =>
      stat(join(walDirectory, name)).then(
        (stats) => stats.size,
        () => 0,
      ),
    ),
  );
  const waitingBytes = sizes.reduce((sum, size) => sum + size, 0);
  return new EngineError(
    "agent-unreachable",
    `${error.message}; ${ready.length} WAL files (${formatBytes(waitingBytes)}) wait in "${walDirectory}"`,
    {
      cause: error.cause,
      hint: "Start it with: tidemark agent. Until then PostgreSQL's archive_command archives without it, one file at a time.",
      details: { waitingFiles: ready.length, waitingBytes, dataDirectory: state.dataDirectory },
    },
  );
}
