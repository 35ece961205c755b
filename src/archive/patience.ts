/** How long all but one wait for that one, in one push. */
const patienceMs = 2000;

/** One of several that take the same step. */
export interface Step {
  /** True when it went well, false when it failed and nobody need wait for it. Does not reject. */
  readonly done: Promise<boolean>;
  /** It is not waited for any more. */
  readonly leave: () => void;
}

/**
 * Keeps several that go step by step together, but for those that are too slow: once one of them has taken its step the
 * others have some time, less by what they were waited for before. Whoever is alone has all the time it needs.
 */
export class Patience {
  #leftMs: number;

  constructor(leftMs = patienceMs) {
    this.#leftMs = leftMs;
  }

  /** Returns when all have taken the step or were left. */
  async together(steps: readonly Step[]): Promise<void> {
    const waiting = new Set(steps);
    const all = steps.map(async (step) => {
      const isGood = await step.done;
      waiting.delete(step);
      return isGood;
    });
    await firstGood(all);
    if (waiting.size === 0) return;
    const startedMs = performance.now();
    await settledWithin(Promise.all(all), this.#leftMs);
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - startedMs));
    for (const step of waiting) step.leave();
  }
}

/** Resolves with the first that is true, or when all are false. */
async function firstGood(all: readonly Promise<boolean>[]): Promise<void> {
  const found = Promise.withResolvers<void>();
  const seen = all.map(async (one) => {
    if (await one) found.resolve();
  });
  await Promise.race([found.promise, Promise.all(seen)]);
}

async function settledWithin(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
