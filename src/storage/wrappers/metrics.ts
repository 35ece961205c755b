import { systemClock, type Clock } from "../../common/clock.ts";
import type { ObjectStore } from "../object-store.ts";
import { interceptStore, storeOperations, tapIterable, type StoreOperation } from "./intercept.ts";

/** Counters of one operation; they only grow. */
interface OperationMetrics {
  calls: number;
  errors: number;
  /** Content sent, or for `get` received. */
  bytes: number;
  durationMs: number;
}

export type StoreMetrics = Readonly<Record<StoreOperation, OperationMetrics>>;

export function createStoreMetrics(): StoreMetrics {
  const none = (): OperationMetrics => ({ calls: 0, errors: 0, bytes: 0, durationMs: 0 });
  return Object.fromEntries(storeOperations.map((operation) => [operation, none()])) as Record<
    StoreOperation,
    OperationMetrics
  >;
}

/**
 * A store that counts into `metrics`, which several stores may share. A listing is one call, however many requests it
 * takes; a body counts into `get`, its failure as an error of its own.
 */
export function withMetrics(
  store: ObjectStore,
  metrics: StoreMetrics,
  clock: Clock = systemClock,
): ObjectStore {
  return interceptStore(store, {
    call: async (call, options, run) => {
      const of = metrics[call.operation];
      const startMs = clock.monotonicMs();
      of.calls++;
      try {
        const result = await run(options);
        of.bytes += call.bytes;
        return result;
      } catch (error) {
        of.errors++;
        throw error;
      } finally {
        of.durationMs += clock.monotonicMs() - startMs;
      }
    },
    listing: (call, options, open) => {
      const of = metrics[call.operation];
      of.calls++;
      return tapIterable(() => open(options), timed(of, clock));
    },
    body: (call, _options, opened) => {
      const of = metrics[call.operation];
      return tapIterable(() => opened.body, {
        ...timed(of, clock),
        item: (chunk) => {
          of.bytes += chunk.length;
        },
      });
    },
  });
}

/** Counts the time spent waiting for the store, not that of whoever reads. */
function timed(
  of: OperationMetrics,
  clock: Clock,
): {
  readonly step: <R>(next: () => Promise<R>) => Promise<R>;
  readonly end: (error?: unknown) => void;
} {
  return {
    step: async (next) => {
      const startMs = clock.monotonicMs();
      try {
        return await next();
      } finally {
        of.durationMs += clock.monotonicMs() - startMs;
      }
    },
    end: (error) => {
      if (error !== undefined) of.errors++;
    },
  };
}
