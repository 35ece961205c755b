import { throwIfAborted } from "./abort.ts";

/**
 * Runs `fn` over `items`, at most `limit` at a time, started in order. The first failure stops further starts; the
 * promise settles only when everything that was started has settled, so nothing runs on behind the caller's back.
 */
export async function mapConcurrent<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let index = 0;
  let failed = false;
  let pull: Promise<unknown> = Promise.resolve();

  async function next(): Promise<{ item: T; at: number } | undefined> {
    // Pulls are chained so that an async iterator is never asked twice at once.
    const turn = pull.then(async () => {
      if (failed) return undefined;
      throwIfAborted(signal);
      const step = await iterator.next();
      return step.done === true ? undefined : { item: step.value, at: index++ };
    });
    pull = turn.catch(() => undefined);
    return turn;
  }

  async function worker(): Promise<void> {
    try {
      for (let step = await next(); step !== undefined; step = await next()) {
        results[step.at] = await fn(step.item, step.at);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  const settled = await Promise.allSettled(Array.from({ length: Math.max(1, limit) }, worker));
  const failure = settled.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) {
    await iterator.return?.();
    throw failure.reason;
  }
  return results;
}

/** A counting gate, first come first served. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(permits: number) {
    this.#free = permits;
  }

  async run<R>(fn: () => Promise<R>): Promise<R> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await fn();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
