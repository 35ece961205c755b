import { abortError, throwIfAborted } from "./abort.ts";

/** Time is an argument, so that tests can own it. */
export interface Clock {
  /** The wall clock. */
  now(): Date;
  /** Milliseconds of a clock that never steps; only differences mean anything. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the `aborted` EngineError when the signal fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        clearTimeout(timer);
        if (signal) reject(abortError(signal));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
