import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { z } from "zod";
import { errorCodes, type ErrorCode } from "../common/error-codes.ts";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import { mib } from "../common/units.ts";
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

const answerSchema = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
  }),
]);

/**
 * Sends one request to the agent of a spool, a line of JSON over its Unix socket, and gives the result of its answer.
 * Throws `agent-unreachable` when there is none or it does not answer in time, else the error that it answered.
 */
export async function askAgent(root: string, request: AgentRequest, timeoutMs: number): Promise<unknown> {
  const state = await readAgentState(spoolAt(root).stateFile);
  if (state === undefined) throw unreachable(root, "no agent has used this spool");
  const answer = answerSchema.parse(JSON.parse(await exchange(root, state.socket, request, timeoutMs)));
  if (answer.ok) return answer.result;
  const { code, message, hint } = answer.error;
  const known: ErrorCode = code in errorCodes ? (code as ErrorCode) : "internal";
  throw new EngineError(known, message, hint === undefined ? {} : { hint });
}

async function exchange(
  root: string,
  socketPath: string,
  request: AgentRequest,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    let text = "";
    const fail = (reason: string, cause?: unknown) => {
      socket.destroy();
      reject(unreachable(root, reason, cause));
    };
    socket.setEncoding("utf8");
    socket.setTimeout(timeoutMs, () => fail(`it did not answer within ${timeoutMs} ms`));
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("error", (error) => fail("it does not run", error));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > mib) fail("its answer is too long");
    });
    socket.on("end", () => {
      if (text.endsWith("\n")) resolve(text);
      else fail("it ended before it had answered");
      socket.destroy();
    });
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
