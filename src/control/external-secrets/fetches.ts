import type { Clock } from "../../common/clock.ts";

export type FetchOutcome<Value> =
  | { readonly kind: "running" }
  | { readonly kind: "done"; readonly value: Value }
  | { readonly kind: "failed"; readonly error: unknown };

interface Fetch<Value> {
  /** What it is for: when that changes, it is given up. */
  readonly version: string;
  readonly controller: AbortController;
  readonly settled: Promise<void>;
  outcome: FetchOutcome<Value>;
}

/**
 * Fetches that go on while nobody waits for them: a reconciler starts one, looks whether it has ended, and comes back, so
 * that a password manager that takes its time, or hangs, holds up nobody else.
 */
export class Fetches<Value> {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #fetches = new Map<string, Fetch<Value>>();

  /** All of them end with the signal. */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /**
   * What has become of the fetch of this ID and version, which is started when there is none. It is given a moment to end;
   * an outcome is handed out once.
   */
  async look(
    id: string,
    version: string,
    start: (signal: AbortSignal) => Promise<Value>,
  ): Promise<FetchOutcome<Value>> {
    if (this.#fetches.get(id)?.version !== version) this.drop(id);
    const fetch = this.#fetches.get(id) ?? this.#start(id, version, start);
    const enough = new AbortController();
    await Promise.race([
      fetch.settled,
      this.#clock.sleep(patienceMs, AbortSignal.any([enough.signal, this.#signal])).catch(() => undefined),
    ]);
    enough.abort();
    if (fetch.outcome.kind !== "running" && this.#fetches.get(id) === fetch) this.#fetches.delete(id);
    return fetch.outcome;
  }

  /** Ends a fetch, if there is one: nobody wants its outcome any more. */
  drop(id: string): void {
    this.#fetches.get(id)?.controller.abort();
    this.#fetches.delete(id);
  }

  #start(id: string, version: string, start: (signal: AbortSignal) => Promise<Value>): Fetch<Value> {
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, this.#signal]);
    const fetch: Fetch<Value> = {
      version,
      controller,
      outcome: { kind: "running" },
      settled: start(signal).then(
        (value) => {
          fetch.outcome = { kind: "done", value };
        },
        (error: unknown) => {
          fetch.outcome = { kind: "failed", error };
        },
      ),
    };
    this.#fetches.set(id, fetch);
    return fetch;
  }
}

/** Files and most commands take less. */
const patienceMs = 200;
