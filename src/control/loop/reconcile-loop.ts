import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../common/clock.ts";
import { assert, describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type ResourceKey } from "../resources/resource.ts";
import { passingTime } from "./passing-time.ts";
import type { Reconciler } from "./reconciler.ts";
import { WakeUp } from "../../common/wake-up.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ReconcileLoopOptions {
  readonly store: ResourceStore;
  readonly reconciler: Reconciler;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly concurrency: number;
}

/** How late a sleeping machine may be noticed (`passing-time.ts`), and far below what a timer can hold (24 days). */
const longestSleepMs = 30_000;

/** Calls one reconciler for its keys until the signal fires. */
export class ReconcileLoop {
  readonly #options: ReconcileLoopOptions;
  readonly #queue = new WorkQueue();
  readonly #wakeUp: WakeUp;
  readonly #now: () => number;
  readonly #running = new Set<Promise<void>>();

  constructor(options: ReconcileLoopOptions) {
    this.#options = options;
    this.#wakeUp = new WakeUp(options.clock);
    this.#now = passingTime(options.clock);
  }

  /** There is something to look at. */
  add(key: ResourceKey): void {
    this.#queue.add(key);
    this.#wakeUp.notify();
  }

  /** Ends when the signal has fired and no call is under way any more. To be called once. */
  async run(): Promise<void> {
    const { store, reconciler, signal } = this.#options;
    const wake = () => this.#wakeUp.notify();
    const unsubscribe = store.subscribe(({ type, resource }) => {
      if (resource.kind === reconciler.kind) this.add(keyOf(resource));
      for (const key of reconciler.affectedBy?.({ type, resource }) ?? []) this.add(key);
    });
    signal.addEventListener("abort", wake, { once: true });
    for (const resource of store.list({ kind: reconciler.kind })) this.add(keyOf(resource));
    try {
      while (!signal.aborted) {
        // Timers and sockets get their turn, even while calls that never wait lead to calls.
        await setImmediate();
        this.#startWhatIsDue();
        await this.#wakeUp.wait(this.#pauseMs());
      }
    } finally {
      signal.removeEventListener("abort", wake);
      unsubscribe();
      await Promise.all(this.#running);
    }
  }

  #startWhatIsDue(): void {
    const { signal, concurrency } = this.#options;
    while (this.#running.size < concurrency && !signal.aborted) {
      const key = this.#queue.take(this.#now());
      if (key === undefined) return;
      const call = this.#call(key).finally(() => {
        this.#running.delete(call);
        this.#wakeUp.notify();
      });
      this.#running.add(call);
    }
  }

  /** A full house is woken by the first that ends. */
  #pauseMs(): number {
    if (this.#running.size >= this.#options.concurrency) return longestSleepMs;
    return Math.min(Math.max(this.#queue.nextDueMs - this.#now(), 0), longestSleepMs);
  }

  async #call(key: ResourceKey): Promise<void> {
    const { reconciler, signal } = this.#options;
    try {
      const again = await reconciler.reconcile(key, signal);
      assert(again === "never" || !Number.isNaN(again.afterMs), "a reconciler says when to look again");
      this.#queue.succeeded(key, again, this.#now());
    } catch (error) {
      const { attempt, pauseMs } = this.#queue.failed(key, this.#now());
      // Whatever a call that was told to stop throws: the next start looks at everything again.
      if (signal.aborted) return;
      this.#options.log.warn("could not reconcile an object; it is tried again", {
        resource: formatKey(key),
        attempt,
        pauseMs,
        error: describeError(error),
      });
    }
  }
}
