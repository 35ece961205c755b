import type { EngineError } from "../common/errors.ts";

/** The first wait after a failure, doubled with each further one up to the second. */
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

/** What status says about one repository. */
export interface HealthReport {
  readonly state: "ok" | "failing";
  readonly failures: number;
  readonly error: { readonly code: string; readonly message: string; readonly at: Date } | undefined;
  /** When the first of these failures was; undefined when it works. */
  readonly failingSince: Date | undefined;
}

/**
 * Whether one repository works, as pushes tell. After a failure it gets a pause, and after the pause one push to try it
 * with; when that succeeds all of them go again. Pure: time and chance are arguments.
 */
export class RepositoryHealth {
  #failures = 0;
  #error: HealthReport["error"];
  #failingSince: Date | undefined;
  #outages = 0;
  #pausedUntilMs = 0;
  #isProbing = false;

  /** When the next push may start: now, at a time (`nowMs` scale), or never while the probe is under way. */
  availableAtMs(nowMs: number): number {
    if (this.#failures === 0) return nowMs;
    return this.#isProbing ? Number.POSITIVE_INFINITY : this.#pausedUntilMs;
  }

  started(): void {
    if (this.#failures > 0) this.#isProbing = true;
  }

  /** How often it worked again after it had failed. */
  get outages(): number {
    return this.#outages;
  }

  succeeded(): void {
    if (this.#failures > 0) this.#outages++;
    this.#failingSince = undefined;
    this.#failures = 0;
    this.#isProbing = false;
    this.#error = undefined;
  }

  /** `random` is from 0 to 1: agents that failed together shall not come back together. */
  failed(
    error: EngineError,
    at: { readonly nowMs: number; readonly time: Date; readonly random: number },
  ): void {
    this.#isProbing = false;
    // Several pushes under way fail together: that is one failure.
    if (at.nowMs >= this.#pausedUntilMs || this.#failures === 0) {
      const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures, 10));
      this.#failures++;
      this.#pausedUntilMs = at.nowMs + pause * (0.75 + 0.5 * at.random);
    }
    this.#failingSince ??= at.time;
    this.#error = { code: error.code, message: error.message, at: at.time };
  }

  /** A push ended that says nothing about the repository. */
  released(): void {
    this.#isProbing = false;
  }

  report(): HealthReport {
    return {
      state: this.#failures === 0 ? "ok" : "failing",
      failures: this.#failures,
      error: this.#error,
      failingSince: this.#failingSince,
    };
  }
}
