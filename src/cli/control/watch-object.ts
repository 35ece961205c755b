import { z } from "zod";
import { EngineError, isEngineError } from "../../common/errors.ts";
import type { ControlClient } from "../control-client.ts";

const watchLine = z.object({ type: z.string(), object: z.unknown() });

/**
 * One object now, and again whenever it changes; ends when it is deleted, or the signal fires. Throws `control-unreachable`,
 * and `aborted` when the control plane ends the watch because we read too slowly.
 */
export async function* watchObject(
  client: ControlClient,
  listPath: string,
  name: string,
  signal: AbortSignal,
): AsyncIterable<unknown> {
  const query = { watch: true, fieldSelector: `metadata.name=${name}` };
  for await (const line of client.lines(listPath, { query, signal })) {
    const { type, object } = watchLine.parse(line);
    if (type === "DELETED") return;
    if (type === "ERROR") {
      const { message } = z.looseObject({ message: z.string().default("the watch has ended") }).parse(object);
      throw new EngineError("aborted", message);
    }
    yield object;
  }
}

/**
 * An error that ended the waiting for something that does not depend on it: says so, where the control plane is gone or the
 * watch has ended. Others are returned as they are.
 */
export function waitingFailed(error: unknown, what: string, look: string): unknown {
  if (!isEngineError(error, "control-unreachable") && !isEngineError(error, "aborted")) return error;
  const isGone = error.code === "control-unreachable";
  return new EngineError(error.code, `could not wait any longer for ${what}: ${error.message}`, {
    cause: error.cause,
    hint: `It was asked for and is not forgotten: ${isGone ? "start the control plane with tidemark up, and " : ""}${look} shows what became of it.`,
  });
}
