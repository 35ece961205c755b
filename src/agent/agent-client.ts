import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { z } from "zod";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import { askSocket } from "../common/request-client.ts";
import { spoolAt } from "./spool.ts";

/** `agent.json`: how to reach an agent. It stays when the agent ends. */
const stateSchema = z.object({
  pid: z.number(),
  socket: z.string(),
  dataDirectory: z.string(),
  systemIdentifier: z.string(),
  startedAt: z.string(),
});

export type AgentState = z.infer<typeof stateSchema>;

/** Undefined when no agent has ever used this spool. */
export async function readAgentState(path: string): Promise<AgentState | undefined> {
  try {
    return stateSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw new EngineError("agent-unreachable", `could not read "${path}"`, { cause: error });
  }
}

export type AgentRequest =
  | { readonly op: "status" }
  /** Archives this WAL file first and answers when that is done. */
  | { readonly op: "push"; readonly name: string };

/**
 * Sends one request to the agent of a spool, a line of JSON over its Unix socket, and gives the result of its answer.
 * Throws `agent-unreachable` when there is none or it does not answer in time, else the error that it answered.
 */
export async function askAgent(root: string, request: AgentRequest, timeoutMs: number): Promise<unknown> {
  const state = await readAgentState(spoolAt(root).stateFile);
  if (state === undefined) throw unreachable(root, "no agent has used this spool");
  return askSocket({
    socketPath: state.socket,
    request,
    timeoutMs,
    unreachable: (reason, cause) => unreachable(root, reason, cause),
  });
}

/** Whether some process listens there. */
export async function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

function unreachable(root: string, reason: string, cause?: unknown): EngineError {
  return new EngineError("agent-unreachable", `could not reach the agent of "${root}": ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Start it with: tidemark agent.",
  });
}
