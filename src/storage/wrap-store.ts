/** The wrappers in their order, for every composition root. */
import { systemClock, type Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { ObjectStore } from "./object-store.ts";
import { withConcurrencyLimit } from "./wrappers/concurrency-limit.ts";
import { withLogging } from "./wrappers/logging.ts";
import { withMetrics, type StoreMetrics } from "./wrappers/metrics.ts";
import { withRateLimit, type RateLimitOptions } from "./wrappers/rate-limit.ts";
import { withRetry, type RetryOptions } from "./wrappers/retry.ts";
import { withTimeout, type TimeoutOptions } from "./wrappers/timeout.ts";

export interface WrapStoreOptions {
  readonly log: Log;
  readonly clock?: Clock;
  readonly timeout?: TimeoutOptions;
  /** Calls at once. Default 16. */
  readonly maxConcurrency?: number;
  readonly metrics?: StoreMetrics;
  readonly rate?: Omit<RateLimitOptions, "clock">;
  readonly retry?: Omit<RetryOptions, "clock" | "log">;
}

/**
 * From the inside: time-out, limit, log, metrics, rate, retry. So queueing is not timed, waiting for bandwidth holds no
 * place in the queue and is no slowness of the store, every attempt is logged and counted, and a backoff holds nothing.
 */
export function wrapStore(store: ObjectStore, options: WrapStoreOptions): ObjectStore {
  const { log, clock = systemClock } = options;
  let wrapped = withTimeout(store, options.timeout);
  wrapped = withConcurrencyLimit(wrapped, options.maxConcurrency ?? 16);
  wrapped = withLogging(wrapped, log, clock);
  if (options.metrics !== undefined) wrapped = withMetrics(wrapped, options.metrics, clock);
  if (options.rate !== undefined) wrapped = withRateLimit(wrapped, { ...options.rate, clock });
  return withRetry(wrapped, { ...options.retry, log, clock });
}
