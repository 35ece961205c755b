import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, fileError } from "../common/errors.ts";
import { abortError, throwIfAborted } from "../common/abort.ts";
import { systemClock } from "../common/clock.ts";
import type { ConnectionTarget } from "./connection-error.ts";
import { parseControlFile, type DatabaseState } from "./control-file.ts";
import { readFile } from "node:fs/promises";
import { lastLogLines } from "./server-log.ts";
import { killTree, sendSignal } from "./server-process-tree.ts";
import { readPostmasterFile, type ServerStatus } from "./server-state.ts";
import { giveTo, ownerOf } from "./settings-file.ts";

/** How a server ended; both are undefined for a server we did not start. */
export interface ServerExit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** How to stop, in PostgreSQL's words: wait for sessions, end them, or stop dead and recover at the next start. */
export type StopMode = "smart" | "fast" | "immediate";

export interface WaitOptions {
  /** Absent means as long as it takes; the signal and the server's end still end the wait. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RunningServerFacts {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Where this run's output begins in the log file. */
  readonly logStartByte: number;
  readonly connection: ConnectionTarget;
  readonly exited: Promise<ServerExit>;
  /** Lets this process end while the server goes on; absent where the server is not our child. */
  readonly release?: () => void;
}

const stopSignals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** How often postmaster.pid and pg_control are looked at while waiting; pg_ctl takes 100 ms. */
const pollMs = 25;

/** A PostgreSQL server that we supervise. Disposing stops it (fast) and waits for its end. */
export class RunningServer implements AsyncDisposable {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** For `connect`. */
  readonly connection: ConnectionTarget;
  /** Resolves when the server has ended, for whatever reason; never rejects. */
  readonly exited: Promise<ServerExit>;
  readonly #logStartByte: number;
  readonly #release: () => void;
  #exit: ServerExit | undefined;

  constructor(facts: RunningServerFacts) {
    this.pid = facts.pid;
    this.dataDirectory = facts.dataDirectory;
    this.logFile = facts.logFile;
    this.connection = facts.connection;
    this.#logStartByte = facts.logStartByte;
    this.#release = facts.release ?? (() => undefined);
    this.exited = facts.exited.then((exit) => {
      this.#exit = exit;
      return exit;
    });
  }

  /** Stops supervising: this process may end, and the server goes on (`adoptServer` takes it up again). */
  release(): void {
    this.#release();
  }

  /** How it ended, or undefined while it runs. */
  get exit(): ServerExit | undefined {
    return this.#exit;
  }

  /**
   * Waits until the server accepts connections (`ready`), or is in recovery and up but accepts none because hot_standby
   * is off (`standby`). In recovery `ready` comes with consistency, and then only reading is possible.
   *
   * @throws EngineError `postgres-failed` when it ends first or time is up; the server is left as it is.
   */
  async waitUntilReady(options: WaitOptions = {}): Promise<"ready" | "standby"> {
    return this.#poll("become ready", options, async () => {
      const status = await this.status();
      return status === "ready" || status === "standby" ? status : undefined;
    });
  }

  /** What the server says of itself, or undefined before it said anything. */
  async status(): Promise<ServerStatus | undefined> {
    const file = await readPostmasterFile(this.dataDirectory);
    // A file of another process is that of an earlier run, not yet replaced.
    return file?.pid === this.pid ? file.status : undefined;
  }

  /**
   * Waits until recovery is over and the server accepts writes. pg_control says so without a connection, so this works
   * with any authentication and before consistency (pg_ctl does the same).
   *
   * @throws EngineError as `waitUntilReady`; a server that stops because its target was not reached ends first.
   */
  async waitUntilPromoted(options: WaitOptions = {}): Promise<void> {
    await this.#poll("end recovery", options, async () => {
      // In this order: a restored pg_control says "in production" until recovery begins, which is before a hot standby
      // calls itself ready.
      if ((await this.status()) !== "ready") return undefined;
      return (await this.#databaseState()) === "in production" ? true : undefined;
    });
  }

  async #databaseState(): Promise<DatabaseState | undefined> {
    const path = join(this.dataDirectory, "global", "pg_control");
    try {
      return parseControlFile(await readFile(path), path).state;
    } catch (error) {
      // The server rewrites the file in place; a read that meets a write has a wrong checksum, and the next one has not.
      if (error instanceof EngineError && error.code === "postgres-format") return undefined;
      throw fileError("read", path, error);
    }
  }

  /** Asks a server in recovery to end it now; see `waitUntilPromoted`. The same as `pg_ctl promote`. */
  async promote(): Promise<void> {
    const path = join(this.dataDirectory, "promote");
    try {
      await writeFile(path, "", { flag: "wx", mode: 0o600 });
      await giveTo(path, await ownerOf(this.dataDirectory));
    } catch (error) {
      throw fileError("write", path, error);
    }
    sendSignal(this.pid, "SIGUSR1");
  }

  /** Makes the server read its configuration files again. */
  reload(): void {
    sendSignal(this.pid, "SIGHUP");
  }

  /**
   * Stops the server and waits for its end. When `timeoutMs` (default 60 s) passes, fast and smart become immediate,
   * and immediate becomes a kill 10 s later; neither loses anything committed. Returns what it took. Safe to repeat.
   */
  async stop(
    mode: StopMode = "fast",
    { timeoutMs = 60_000 }: { readonly timeoutMs?: number } = {},
  ): Promise<StopMode | "kill"> {
    const steps = mode === "immediate" ? [mode] : [mode, "immediate" as const];
    for (const step of steps) {
      if (this.#exit !== undefined) return mode;
      sendSignal(this.pid, stopSignals[step]);
      if (await this.#endsWithin(step === mode && mode !== "immediate" ? timeoutMs : 10_000)) return step;
    }
    await this.kill();
    return "kill";
  }

  async #endsWithin(ms: number): Promise<boolean> {
    const timer = new AbortController();
    const late = systemClock.sleep(ms, timer.signal).then(
      () => false,
      () => false,
    );
    const ended = await Promise.race([this.exited.then(() => true), late]);
    timer.abort();
    return ended;
  }

  /** Ends the server and all its processes as a power cut would (SIGKILL), and waits until they are gone. */
  async kill(): Promise<void> {
    if (this.#exit !== undefined) return;
    await killTree(this.pid);
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("fast");
  }

  /** The end of the server's log of this run, for messages. */
  logTail(): Promise<string[]> {
    return lastLogLines(this.logFile, this.#logStartByte);
  }

  async #poll<T>(goal: string, options: WaitOptions, look: () => Promise<T | undefined>): Promise<T> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      throwIfAborted(signal);
      const ended = this.#exit;
      const result = ended === undefined ? await look() : undefined;
      if (result !== undefined) return result;
      if (ended !== undefined)
        throw await this.#failure(`ended before it could ${goal}, with ${describeExit(ended)}`);
      if (performance.now() >= deadline) throw await this.#failure(`did not ${goal} within ${timeoutMs} ms`);
      await Promise.race([systemClock.sleep(pollMs), this.exited]);
      if (signal?.aborted === true) throw abortError(signal);
    }
  }

  async #failure(what: string): Promise<EngineError> {
    const tail = await this.logTail();
    const quoted = tail.length === 0 ? "" : `; its log ends: ${tail.join(" | ")}`;
    return new EngineError("postgres-failed", `the server on "${this.dataDirectory}" ${what}${quoted}`, {
      hint: `The whole log is in "${this.logFile}".`,
      details: { dataDirectory: this.dataDirectory, log: tail, exit: this.#exit },
    });
  }
}

function describeExit({ code, signal }: ServerExit): string {
  if (signal !== undefined) return `signal ${signal}`;
  return code === undefined ? "an unknown status" : `status ${code}`;
}
