import type { Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import type { InstanceFailure } from "../instance-status.ts";
import { failureOf } from "./failure.ts";
import { GrowingPause } from "./growing-pause.ts";

export interface KeptOrderOptions<Order> {
  /** What the work is, when somebody is told that it was stopped. */
  readonly name: string;
  /** The work, until the signal fires; when it ends before, it is begun again. It says when all went well so far. */
  readonly serve: (order: Order, signal: AbortSignal, begun: () => void) => Promise<void>;
  /** Each failure that is another one than the last. */
  readonly onFailure: (failure: InstanceFailure) => void;
  readonly clock: Clock;
}

interface Run {
  /** Tells orders from each other. */
  readonly key: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/**
 * Work that goes on while there is an order for it, and is begun anew when the order changes. What fails is tried again for
 * ever, with growing pauses: nobody else would do it.
 */
export class KeptOrder<Order> {
  readonly #options: KeptOrderOptions<Order>;
  #run: Run | undefined;
  /** Changes of orders, one after the other. */
  #changes: Promise<void> = Promise.resolve();
  #isClosed = false;
  #failure: InstanceFailure | undefined;
  #begunAtMs: number | undefined;

  constructor(options: KeptOrderOptions<Order>) {
    this.#options = options;
  }

  /** Why the work is not done, while that is so. */
  get failure(): InstanceFailure | undefined {
    return this.#failure;
  }

  /** Goes on with this order; the work for the one before ends first. Nothing happens when it is the same. */
  follow(order: Order | undefined): void {
    const key = JSON.stringify(order ?? null);
    this.#changes = this.#changes.then(async () => {
      if (this.#isClosed || this.#run?.key === key) return;
      await this.#end();
      if (order === undefined) return;
      const abort = new AbortController();
      // Never rejects.
      this.#run = { key, abort, ended: this.#keepServing(order, abort.signal) };
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#changes;
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#run?.abort.abort(new EngineError("aborted", `${this.#options.name} was stopped`));
    await this.#run?.ended;
    this.#run = undefined;
    this.#failure = undefined;
  }

  async #keepServing(order: Order, signal: AbortSignal): Promise<void> {
    const { serve, onFailure, clock } = this.#options;
    const pause = new GrowingPause();
    const begun = () => {
      this.#begunAtMs = clock.monotonicMs();
      this.#failure = undefined;
    };
    while (!signal.aborted) {
      this.#begunAtMs = undefined;
      try {
        await serve(order, signal, begun);
      } catch (error) {
        if (signal.aborted) return;
        const failure = failureOf(error);
        if (failure.message !== this.#failure?.message) onFailure(failure);
        this.#failure = failure;
        const nowMs = clock.monotonicMs();
        const pauseMs = pause.afterFailure(nowMs - (this.#begunAtMs ?? nowMs));
        await clock.sleep(pauseMs, signal).catch(() => undefined);
      }
    }
  }
}
