import type { Clock } from "../../common/clock.ts";

/** Lets one loop sleep until somebody has something for it. */
export class WakeUp {
  readonly #clock: Clock;
  #isWanted = false;
  #sleep: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the sleep, or the next one when there is none just now: news is never missed. */
  call(): void {
    this.#isWanted = true;
    this.#sleep?.abort();
  }

  /** Sleeps until it is called, but for `ms` at most. */
  async wait(ms: number): Promise<void> {
    if (!this.#isWanted) {
      this.#sleep = new AbortController();
      // Rejects when it was called, which is as good an end.
      await this.#clock.sleep(ms, this.#sleep.signal).catch(() => undefined);
      this.#sleep = undefined;
    }
    this.#isWanted = false;
  }
}
