import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { connect, type SqlConnection } from "../../postgres/connection.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import type { Settings } from "../../postgres/settings-file.ts";
import type { InstanceStatus } from "../instance-status.ts";
import { readDataBytes, readFacts, type ServerFacts } from "./server-facts.ts";

type PostgresStatus = NonNullable<InstanceStatus["postgres"]>;

/** Facts that are asked for again within this time are the ones before. */
const factsAgeMs = 1000;
/** How long an asker waits for fresh ones before the last known have to do, and how old those may be. */
const patienceMs = 1000;
const staleMs = 10_000;
/** The size of the data is looked at this often, or less where that takes long. */
const measureEveryMs = 60_000;
const measureShare = 200;

/**
 * What a server that accepts connections says of itself, over one session that is kept for it, and only when somebody asks:
 * an instance that nobody looks at costs its server nothing.
 */
export class ServerWatch {
  readonly #server: RunningServer;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #session: Promise<SqlConnection> | undefined;
  #reading: Promise<void> | undefined;
  #facts: ServerFacts | undefined;
  #readMs = Number.NEGATIVE_INFINITY;
  #isOutdated = true;
  #dataBytes: number | undefined;
  #measuring: Promise<void> | undefined;
  #measureAtMs = Number.NEGATIVE_INFINITY;

  constructor(server: RunningServer, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#server = server;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** At most a second old while the server answers; undefined when it has not answered for a while. Never throws. */
  async status(commandLine: Settings): Promise<PostgresStatus | undefined> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#measureAtMs) {
      // Not waited for: it takes long where there are many files.
      this.#measuring ??= this.#measure().finally(() => {
        this.#measuring = undefined;
      });
    }
    if (this.#isOutdated || nowMs - this.#readMs >= factsAgeMs) {
      this.#reading ??= this.#read(commandLine).finally(() => {
        this.#reading = undefined;
      });
      await this.#within(this.#reading);
    }
    const facts = this.#facts;
    if (facts === undefined || this.#clock.monotonicMs() - this.#readMs > staleMs) return undefined;
    return {
      pid: this.#server.pid,
      ...facts,
      ...(this.#dataBytes === undefined ? {} : { dataBytes: this.#dataBytes }),
    };
  }

  /** Something has changed: the next answer waits for fresh facts. */
  outdate(): void {
    this.#isOutdated = true;
  }

  /** Ends the sessions, which a server that stops smartly would wait for. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#reading, this.#measuring]);
    await this.#endSession();
  }

  /** Never rejects. */
  async #read(commandLine: Settings): Promise<void> {
    const { signal } = this.#stop;
    this.#isOutdated = false;
    // The kept session may have ended since it was last used; a new one tells the truth.
    const attempts = this.#session === undefined ? 1 : 2;
    for (let attempt = 0; attempt < attempts && !signal.aborted; attempt++) {
      try {
        this.#session ??= this.#connect();
        this.#facts = await readFacts(await this.#session, commandLine, signal);
        this.#readMs = this.#clock.monotonicMs();
        return;
      } catch (error) {
        this.#log.debug("the server does not say how it is", { error: describeError(error) });
        await this.#endSession();
      }
    }
  }

  /** Never rejects. In a session of its own: others wait for the one that is kept. */
  async #measure(): Promise<void> {
    const { signal } = this.#stop;
    const startedMs = this.#clock.monotonicMs();
    try {
      await using session = await this.#connect();
      this.#dataBytes = await readDataBytes(session, signal);
    } catch (error) {
      this.#log.debug("the server does not say how much it holds", { error: describeError(error) });
    }
    const endedMs = this.#clock.monotonicMs();
    this.#measureAtMs = endedMs + Math.max(measureEveryMs, measureShare * (endedMs - startedMs));
  }

  #connect(): Promise<SqlConnection> {
    return connect({
      ...this.#server.connection,
      applicationName: "tidemark instance",
      signal: this.#stop.signal,
    });
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
    await Promise.race([work, this.#clock.sleep(patienceMs, late.signal).catch(() => undefined)]);
    late.abort();
  }
}
