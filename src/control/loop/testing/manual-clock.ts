import { setImmediate } from "node:timers/promises";
import { abortError, throwIfAborted } from "../../../common/abort.ts";
import type { Clock } from "../../../common/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  #monotonicMs = 0;
  #wallMs: number;

  constructor(start = "2026-11-21T20:45:00.000Z") {
    this.#wallMs = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#wallMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    await new Promise<void>((resolve, reject) => {
      const sleeper = { dueMs: this.#monotonicMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(abortError(signal));
      });
    });
  }

  /** How many sleep just now. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Lets everything happen that is due within the next `ms`, each at its time. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settle();
    for (let next = this.#firstUntil(endMs); next !== undefined; next = this.#firstUntil(endMs)) {
      this.#pass(Math.max(next.dueMs - this.#monotonicMs, 0));
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#pass(endMs - this.#monotonicMs);
  }

  /** Sets the wall clock without anybody's timer noticing, as a machine that slept, or a person, does. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  #firstUntil(endMs: number): Sleeper | undefined {
    return [...this.#sleepers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await setImmediate();
}
