import { EngineError } from "./errors.ts";

/** Throws the `aborted` EngineError when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortError(signal);
}

/** The error that an abort signal stands for: its own reason when that is an EngineError. */
export function abortError(signal: AbortSignal): EngineError {
  return signal.reason instanceof EngineError
    ? signal.reason
    : new EngineError("aborted", "stopped before it was finished", { cause: signal.reason });
}

/** A signal that may be missing, as the optional property that `exactOptionalPropertyTypes` wants: `{ ...signalOption(s) }`. */
export function signalOption(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Waits for work that others wait for too, no longer than the signal lets this one wait; the work goes on. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  if (signal.aborted) {
    // Whoever else waits for it sees its failure; when nobody does, it must not end the process.
    void work.catch(() => undefined);
    throw abortError(signal);
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(abortError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
