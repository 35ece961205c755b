import type { Clock } from "../common/clock.ts";

/** Adds up for how long one repository alone has kept the others waiting, and says so once it was too long. */
export class HoldUp {
  readonly #limitMs: number;
  readonly #clock: Clock;
  readonly #onExceeded: () => void;
  #heldMs = 0;
  #current: { readonly sinceMs: number; readonly over: AbortController } | undefined;

  constructor(options: { readonly limitMs: number; readonly clock: Clock; readonly onExceeded: () => void }) {
    this.#limitMs = options.limitMs;
    this.#clock = options.clock;
    this.#onExceeded = options.onExceeded;
  }

  /** Whether it keeps the others waiting from now on. */
  set(isHolding: boolean): void {
    if (isHolding === (this.#current !== undefined)) return;
    if (isHolding) {
      const over = new AbortController();
      this.#current = { sinceMs: this.#clock.monotonicMs(), over };
      void this.#watch(over.signal);
    } else if (this.#current !== undefined) {
      const { sinceMs, over } = this.#current;
      this.#current = undefined;
      this.#heldMs += this.#clock.monotonicMs() - sinceMs;
      over.abort();
    }
  }

  /** Never rejects. */
  async #watch(over: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(Math.max(0, this.#limitMs - this.#heldMs), over);
    } catch {
      return;
    }
    this.#onExceeded();
  }
}
