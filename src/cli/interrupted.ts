import { EngineError, isEngineError } from "../common/errors.ts";

/**
 * Waits for work and, when it was stopped by Ctrl-C or SIGTERM, adds what that leaves behind and how to go on (`hint`, full
 * sentences). Other failures pass unchanged.
 */
export async function explainInterruption<T>(work: Promise<T>, hint: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isEngineError(error, "aborted") || error.hint !== undefined) throw error;
    throw new EngineError("aborted", error.message, { cause: error.cause, hint });
  }
}
