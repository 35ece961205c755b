import { createConnection } from "node:net";
import { z } from "zod";
import { errorCodes, type ErrorCode } from "./error-codes.ts";
import { EngineError } from "./errors.ts";
import { mib } from "./units.ts";

const answerSchema = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
  }),
]);

export interface SocketRequest {
  readonly socketPath: string;
  readonly request: object;
  /** How long it may be silent. */
  readonly timeoutMs: number;
  /** Makes the error for when nobody answers; the cause is a system error where there is one. */
  readonly unreachable: (reason: string, cause?: unknown) => EngineError;
}

/**
 * Sends one request to a process that listens with `listenForRequests` and gives the result of its answer. Throws what
 * `unreachable` makes when there is none or it does not answer in time, else the error that it answered.
 */
export async function askSocket(asked: SocketRequest): Promise<unknown> {
  const answer = readAnswer(await exchange(asked), asked);
  if (answer.ok) return answer.result;
  const { code, message, hint } = answer.error;
  const known: ErrorCode = code in errorCodes ? (code as ErrorCode) : "internal";
  throw new EngineError(known, message, hint === undefined ? {} : { hint });
}

function readAnswer(text: string, { unreachable }: SocketRequest): z.infer<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw unreachable("its answer is not understood", cause);
  }
}

async function exchange({ socketPath, request, timeoutMs, unreachable }: SocketRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    let text = "";
    const fail = (reason: string, cause?: unknown) => {
      socket.destroy();
      reject(unreachable(reason, cause));
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
