/** When to try again, and after how long: decided here, acted on in `retry.ts`. */
import { isEngineError } from "../../common/errors.ts";

export interface RetryPolicy {
  /** Attempts in all. */
  readonly maxAttempts: number;
  /** No further attempt is started after this time in ms, counted from the first, or from the last progress. */
  readonly maxElapsedMs: number;
  /** Upper bound of the first wait in ms; it doubles with each attempt. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 6,
  maxElapsedMs: 120_000,
  firstDelayMs: 200,
  maxDelayMs: 15_000,
};

/**
 * How many ms to wait before the next attempt, or undefined to give up. `random` is from [0, 1): the wait is between half
 * the bound and the bound, so that clients which failed together do not come back together.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  error: unknown,
  attempt: number,
  elapsedMs: number,
  random: number,
): number | undefined {
  if (!isEngineError(error) || !error.retryable || error.code === "aborted") return undefined;
  if (attempt >= policy.maxAttempts) return undefined;
  const bound = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  const delayMs = bound * (0.5 + random / 2);
  return elapsedMs + delayMs > policy.maxElapsedMs ? undefined : delayMs;
}
