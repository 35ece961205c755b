import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { SqlConnection } from "../../postgres/connection.ts";

export interface KeptFactsOptions<Facts, Given> {
  /** Opens the session that is kept. */
  readonly connect: (signal: AbortSignal) => Promise<SqlConnection>;
  readonly read: (session: SqlConnection, given: Given, signal: AbortSignal) => Promise<Facts>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Facts that are asked for again within this time are the ones before. */
const factsAgeMs = 1000;
/** How long an asker waits for fresh ones before the last known have to do, and how old those may be. */
const patienceMs = 1000;
const staleMs = 10_000;

/**
 * What a server says of itself, over one session that is kept for it, and only when somebody asks: a server that nobody
 * looks at pays nothing.
 */
export class KeptFacts<Facts, Given> {
  readonly #options: KeptFactsOptions<Facts, Given>;
  readonly #stop = new AbortController();
  #session: Promise<SqlConnection> | undefined;
  #reading: Promise<void> | undefined;
  #facts: Facts | undefined;
  #failure: unknown;
  #readMs = Number.NEGATIVE_INFINITY;
  #isOutdated = true;

  constructor(options: KeptFactsOptions<Facts, Given>) {
    this.#options = options;
  }

  /** Fires when it is closed. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Why the last reading failed; undefined when it did not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** At most a second old while the server answers; undefined when it has not answered for a while. Never throws. */
  async get(given: Given): Promise<Facts | undefined> {
    const { clock } = this.#options;
    if (this.#isOutdated || clock.monotonicMs() - this.#readMs >= factsAgeMs) {
      this.#reading ??= this.#read(given).finally(() => {
        this.#reading = undefined;
      });
      await this.#within(this.#reading);
    }
    return clock.monotonicMs() - this.#readMs > staleMs ? undefined : this.#facts;
  }

  /** Something has changed: the next answer waits for fresh facts. */
  outdate(): void {
    this.#isOutdated = true;
  }

  /** Ends the session, which a server that stops smartly would wait for. The next question opens another one: what was known is over. */
  async release(): Promise<void> {
    await this.#reading;
    this.#readMs = Number.NEGATIVE_INFINITY;
    await this.#endSession();
  }

  /** Ends the session for good. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.release();
  }

  /** Never rejects. */
  async #read(given: Given): Promise<void> {
    const { connect, read, clock, log } = this.#options;
    const { signal } = this.#stop;
    this.#isOutdated = false;
    // The kept session may have ended since it was last used; a new one tells the truth.
    const attempts = this.#session === undefined ? 1 : 2;
    for (let attempt = 0; attempt < attempts && !signal.aborted; attempt++) {
      try {
        this.#session ??= connect(signal);
        this.#facts = await read(await this.#session, given, signal);
        this.#readMs = clock.monotonicMs();
        this.#failure = undefined;
        return;
      } catch (error) {
        this.#failure = error;
        log.debug("the server does not say how it is", { error: describeError(error) });
        await this.#endSession();
      }
    }
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    // One that could not be opened need not be closed.
    await session?.then(
      async (open) => open.close(),
      () => undefined,
    );
  }

  async #within(work: Promise<void>): Promise<void> {
    const late = new AbortController();
    await Promise.race([work, this.#options.clock.sleep(patienceMs, late.signal).catch(() => undefined)]);
    late.abort();
  }
}
