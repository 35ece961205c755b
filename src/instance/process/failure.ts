import { describeError, EngineError } from "../../common/errors.ts";
import type { InstanceFailure } from "../instance-status.ts";

/** An error as the status shows it: with its causes in one line, without its stack. */
export function failureOf(error: unknown): InstanceFailure {
  const message = describeError(error);
  if (!(error instanceof EngineError)) return { code: "internal", message };
  const { code, hint } = error;
  return hint === undefined ? { code, message } : { code, message, hint };
}
