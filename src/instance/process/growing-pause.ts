const firstMs = 1000;
const longestMs = 60_000;
/** What has run for so long is taken for healthy: its next failure is a new one. */
const healthyMs = 60_000;

/** How long to wait before something that failed is tried again: 1 s, then twice as long each time, up to a minute. */
export class GrowingPause {
  #failures = 0;

  /** Counts a failure; `ranMs` is how long it had gone well before. Gives the pause in milliseconds. */
  afterFailure(ranMs = 0): number {
    if (ranMs >= healthyMs) this.#failures = 0;
    return Math.min(longestMs, firstMs * 2 ** Math.min(this.#failures++, 10));
  }

  /** Somebody changed something: the next failure is a first one. */
  reset(): void {
    this.#failures = 0;
  }
}
