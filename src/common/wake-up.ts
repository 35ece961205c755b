import type { Clock } from "./clock.ts";

/** What a loop sleeps on: news wakes it, and news that came while it was busy is not lost. For one sleeper. */
export class WakeUp {
  readonly #clock: Clock;
  #hasNews = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(): void {
    this.#hasNews = true;
    this.#wake?.();
  }

  /** Resolves at once when there was news since the last wait, else with the next, or after `timeoutMs` (may be infinite). */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#hasNews && timeoutMs > 0) {
      const woken = new AbortController();
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const late = Number.isFinite(timeoutMs)
        ? [this.#clock.sleep(timeoutMs, woken.signal).catch(() => undefined)]
        : [];
      await Promise.race([news, ...late]);
      woken.abort();
    }
    this.#wake = undefined;
    this.#hasNews = false;
  }
}
