import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { connect, type SqlConnection } from "../../postgres/connection.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import type { Settings } from "../../postgres/settings-file.ts";
import type { InstanceStatus } from "../instance-status.ts";
import { KeptFacts } from "./kept-facts.ts";
import { readFacts, readSizes, type ServerFacts } from "./server-facts.ts";

type PostgresStatus = NonNullable<InstanceStatus["postgres"]>;

/** The size of the data is looked at this often, or less where that takes long. */
const measureEveryMs = 60_000;
const measureShare = 200;

/** What a server that accepts connections says of itself, and how much it holds. */
export class ServerWatch {
  readonly #server: RunningServer;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #facts: KeptFacts<ServerFacts | undefined, Settings>;
  #sizes: Pick<PostgresStatus, "dataBytes" | "walBytes"> | undefined;
  #measuring: Promise<void> | undefined;
  #measureAtMs = Number.NEGATIVE_INFINITY;

  constructor(server: RunningServer, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#server = server;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#facts = new KeptFacts({
      ...deps,
      connect: async (signal) => this.#connect(signal),
      read: readFacts,
    });
  }

  /** At most a second old while the server answers; undefined when it has not answered for a while. Never throws. */
  async status(commandLine: Settings): Promise<PostgresStatus | undefined> {
    if (this.#clock.monotonicMs() >= this.#measureAtMs) {
      // Not waited for: it takes long where there are many files.
      this.#measuring ??= this.#measure().finally(() => {
        this.#measuring = undefined;
      });
    }
    const facts = await this.#facts.get(commandLine);
    if (facts === undefined) return undefined;
    return { pid: this.#server.pid, ...facts, ...this.#sizes };
  }

  /** Something has changed: the next answer waits for fresh facts. */
  outdate(): void {
    this.#facts.outdate();
  }

  /** Ends the sessions, which a server that stops smartly would wait for. */
  async close(): Promise<void> {
    await Promise.all([this.#facts.close(), this.#measuring]);
  }

  /** Never rejects. In a session of its own: others wait for the one that is kept. */
  async #measure(): Promise<void> {
    const { signal } = this.#facts;
    const startedMs = this.#clock.monotonicMs();
    try {
      await using session = await this.#connect(signal);
      this.#sizes = await readSizes(session, signal);
    } catch (error) {
      this.#log.debug("the server does not say how much it holds", { error: describeError(error) });
    }
    const endedMs = this.#clock.monotonicMs();
    this.#measureAtMs = endedMs + Math.max(measureEveryMs, measureShare * (endedMs - startedMs));
  }

  #connect(signal: AbortSignal): Promise<SqlConnection> {
    return connect({ ...this.#server.connection, applicationName: "tidemark instance", signal });
  }
}
