/** Bandwidth limits: so that a backup leaves room on the line for the database it protects. */
import { systemClock, type Clock } from "../../common/clock.ts";
import { assert } from "../../common/errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { interceptStore, tapIterable } from "./intercept.ts";

export interface RateLimitOptions {
  /** Content sent, in bytes per second; absent means no limit. */
  readonly writeBytesPerSecond?: number;
  /** Content received, in bytes per second; absent means no limit. */
  readonly readBytesPerSecond?: number;
  readonly clock?: Clock;
}

/** A store that sends and receives content no faster than this, on average over all its calls. */
export function withRateLimit(store: ObjectStore, options: RateLimitOptions): ObjectStore {
  const clock = options.clock ?? systemClock;
  const write = createBucket(options.writeBytesPerSecond, clock);
  const read = createBucket(options.readBytesPerSecond, clock);
  return interceptStore(store, {
    call: async (call, callOptions, run) => {
      if (call.bytes > 0) await write(call.bytes, callOptions.signal);
      return run(callOptions);
    },
    body: (_call, callOptions, opened) =>
      tapIterable(() => opened.body, { item: async (chunk) => read(chunk.length, callOptions.signal) }),
  });
}

/** Time that may be saved up while nothing is sent. */
const burstMs = 250;

type Take = (bytes: number, signal: AbortSignal | undefined) => Promise<void>;

/**
 * A token bucket, kept as the moment at which everything taken so far is paid for. Whoever takes waits until its own
 * bytes are paid for too, so callers leave in the order in which they came.
 */
function createBucket(bytesPerSecond: number | undefined, clock: Clock): Take {
  if (bytesPerSecond === undefined) return async () => undefined;
  assert(bytesPerSecond > 0, "a rate limit is positive");
  let paidAtMs = Number.NEGATIVE_INFINITY;
  return async (bytes, signal) => {
    const now = clock.monotonicMs();
    paidAtMs = Math.max(paidAtMs, now - burstMs) + (bytes / bytesPerSecond) * 1000;
    if (paidAtMs > now) await clock.sleep(paidAtMs - now, signal);
  };
}
