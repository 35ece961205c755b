import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { describeError, isEngineError, type EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import type { PushContext } from "../archive/push-wal.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import type { Acks } from "./ack.ts";
import { Backlog, type BacklogEntry } from "./backlog.ts";
import { Deliveries } from "./deliveries.ts";
import { DrainMeter } from "./drain-meter.ts";
import { isFileFault, retryAfterMs } from "./file-fault.ts";
import type { OwedBook } from "./owed-book.ts";
import { readReadyFiles, statusChange, WatchedFolder } from "./ready-files.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";
import { returnMemory } from "./return-memory.ts";
import { exists, spoolNames, type Spool } from "./spool.ts";
import { UnmarkedLook } from "./unmarked-look.ts";
import { answerWanted } from "./wanted-answers.ts";

export interface LookAheadOptions {
  readonly walDirectory: string;
  readonly spool: Spool;
  readonly acks: Acks;
  readonly owed: OwedBook;
  readonly lanes: RepositoryLanes;
  readonly targets: readonly ArchiveTarget[];
  readonly expected: ExpectedSystem;
  readonly context: PushContext;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends pushes under way; `run`'s signal only ends new ones. */
  readonly abort: AbortSignal;
}

/** Watching brings news at once; looking makes sure. Large folders are looked at less often. */
const shortestPollMs = 1000;
/** After this long without work, memory for it is given back. */
const idleAfterMs = 10_000;

/** The last thing that happened to some WAL file. */
export interface LastEvent {
  readonly name: string;
  readonly at: Date;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * Archives every WAL file as soon as PostgreSQL has it ready, before PostgreSQL asks, and acknowledges it. What fails is
 * tried again for ever; nothing but the policy makes an acknowledgement.
 */
export class LookAhead {
  readonly meter = new DrainMeter();
  readonly backlog: Backlog;
  lastArchived: LastEvent | undefined;
  lastFailure: LastEvent | undefined;
  readonly #options: LookAheadOptions;
  readonly #deliveries: Deliveries;
  readonly #waiters = new Map<string, ((error: EngineError | undefined) => void)[]>();
  #isStopping = false;
  #areAcksOurs = false;
  /** The code of the last failure of this machine, until a file gets through. */
  #localFailure: string | undefined;
  #busyAtMs: number | undefined;
  readonly #unmarked: UnmarkedLook;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LookAheadOptions) {
    this.#options = options;
    this.backlog = new Backlog(options.lanes.names);
    this.#deliveries = new Deliveries({
      ...options,
      onAcknowledged: async (entry, bytes) => this.#acknowledged(entry, bytes),
      onFailed: async (entry, error, isLocal) => this.#failed(entry, error, isLocal),
      onRoom: () => this.#pump(),
    });
    const { walDirectory, expected } = options;
    this.#unmarked = new UnmarkedLook(walDirectory, expected.walSegmentSizeBytes, options);
  }

  /** Runs until the signal fires, then waits for the pushes under way. Throws only what a bug throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { spool, clock, walDirectory, log } = this.#options;
    const wants = new WatchedFolder(spool.want, (name) => void this.#onWantChange(name));
    const statuses = new WatchedFolder(join(walDirectory, "archive_status"), (name) => this.#onStatus(name));
    try {
      await this.#options.acks.clean();
      while (!signal.aborted) {
        const startedMs = clock.monotonicMs();
        wants.watch();
        statuses.watch();
        try {
          await this.scan();
        } catch (error) {
          log.error("could not look for WAL files to archive", { error: describeError(error) });
        }
        const tookMs = clock.monotonicMs() - startedMs;
        await clock.sleep(Math.max(shortestPollMs, 20 * tookMs), signal).catch(() => undefined);
      }
    } finally {
      this.#isStopping = true;
      clearTimeout(this.#timer);
      wants.close();
      statuses.close();
      await this.#deliveries.ended();
    }
  }

  /** Looks at everything once: new files, files PostgreSQL has taken note of, requests, stale acknowledgements. */
  async scan(): Promise<void> {
    const { walDirectory, spool, acks, clock, expected } = this.#options;
    if (!this.#areAcksOurs) await acks.dropOutdated();
    this.#areAcksOurs = true;
    // Acknowledgements first: one that is written after this cannot be taken for one whose file is gone.
    const ackNames = await acks.names();
    const ready = [...(await readReadyFiles(walDirectory)), ...(await this.#unmarked.look())];
    const readyNames = new Set(ready.map(({ name }) => name));
    for (const file of ready) this.backlog.add(file);
    const nowMs = clock.monotonicMs();
    for (const entry of this.backlog.entries) {
      const isOver = !readyNames.has(entry.file.name) && entry.keepUntilMs < nowMs && !isPending(entry);
      if (isOver) this.backlog.remove(entry.file.name);
    }
    for (const name of ackNames) if (this.backlog.get(name) === undefined) await acks.drop(name);
    this.meter.backlog(nowMs, this.waitingFiles() * expected.walSegmentSizeBytes);
    for (const name of await spoolNames(spool.want)) this.#onWanted(name);
    this.#pump();
    this.#restWhenIdle(nowMs);
  }

  /** Gives memory back once after work. */
  #restWhenIdle(nowMs: number): void {
    if (this.#deliveries.count > 0 || this.#busyAtMs === undefined) return;
    if (nowMs - this.#busyAtMs < idleAfterMs) return;
    this.#busyAtMs = undefined;
    const { buffers, encoder } = this.#options.context;
    buffers.trim();
    encoder.trim();
    returnMemory();
  }

  waitingFiles(): number {
    let count = 0;
    for (const entry of this.backlog.entries) if (entry.state !== "acknowledged") count++;
    return count;
  }

  /** Pushes this file first and waits until it is acknowledged; rejects with why it is not. */
  async push(file: WalFileName): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const waiters = this.#waiters.get(file.name) ?? [];
      waiters.push((error) => (error === undefined ? resolve() : reject(error)));
      this.#waiters.set(file.name, waiters);
      this.#want(file);
    });
  }

  #onStatus(name: string): void {
    const change = statusChange(name);
    if (change?.kind === "ready") {
      this.backlog.add(change.file);
      this.#pump();
    } else if (change?.kind === "done") {
      const entry = this.backlog.get(change.name);
      if (entry === undefined || isPending(entry)) return;
      this.backlog.remove(change.name);
      void this.#options.acks.drop(change.name).catch(() => undefined); // the next scan drops it
    }
  }

  /** Never rejects. A name that left the folder is no request: the answer to one removes it. */
  async #onWantChange(name: string): Promise<void> {
    if (await exists(join(this.#options.spool.want, name))) this.#onWanted(name);
  }

  #onWanted(name: string): void {
    const file = parseWalFileName(name);
    if (file !== undefined) this.#want(file);
  }

  #want(file: WalFileName): void {
    const entry = this.backlog.want(file, this.#options.clock.monotonicMs());
    // The script would not ask for an acknowledged file that did not change; a look at it will tell.
    if (entry.state === "acknowledged") this.backlog.reopen(entry);
    this.#pump();
  }

  /** Starts what may be started, and comes back when the next may. */
  #pump(): void {
    clearTimeout(this.#timer);
    const { clock, lanes } = this.#options;
    while (!this.#isStopping) {
      const nowMs = clock.monotonicMs();
      const next = this.backlog.next(nowMs, lanes);
      if ("atMs" in next) {
        if (Number.isFinite(next.atMs)) this.#timer = setTimeout(() => this.#pump(), next.atMs - nowMs + 1);
        return;
      }
      this.#busyAtMs = nowMs;
      this.#deliveries.start(next);
    }
  }

  async #acknowledged(entry: BacklogEntry, bytes: number | undefined): Promise<void> {
    entry.state = "acknowledged";
    entry.error = undefined;
    entry.failures = 0;
    if (bytes !== undefined) {
      const { clock, log } = this.#options;
      const { name } = entry.file;
      this.#localFailure = undefined;
      this.meter.drained(clock.monotonicMs());
      this.lastArchived = { name, at: clock.now() };
      log.debug("archived", { segment: name, bytes });
    }
    await this.#settle(entry, undefined);
  }

  async #failed(entry: BacklogEntry, error: EngineError, isLocal: boolean): Promise<void> {
    const { clock, abort } = this.#options;
    if (abort.aborted) {
      entry.state = "waiting";
      return this.#settle(entry, error);
    }
    const { name } = entry.file;
    // PostgreSQL has removed what it archived by other means.
    if (isEngineError(error, "file-io") && !(await this.#isReady(name)) && entry.wantedTurn === undefined) {
      this.backlog.remove(name);
      return this.#settle(entry, error);
    }
    if (entry.error?.message !== error.message) this.#logFailure(name, error, isLocal);
    entry.error = error;
    entry.state = "waiting";
    entry.retryAtMs = clock.monotonicMs() + retryAfterMs(error, entry.failures);
    entry.failures++;
    this.lastFailure = { name, at: clock.now(), error: { code: error.code, message: error.message } };
    return this.#settle(entry, error);
  }

  /** Once per file and reason. A full disk is one reason for all files: until one gets through it is said once. */
  #logFailure(name: string, error: EngineError, isLocal: boolean): void {
    const { log } = this.#options;
    const fields = { segment: name, error: describeError(error) };
    if (isFileFault(error)) return log.error("WAL file refused", fields);
    // What a repository does is said once for all files too (`RepositoryLanes`).
    if (!isLocal || error.code === this.#localFailure) return;
    this.#localFailure = error.code;
    log.warn("could not archive a WAL file; it is tried again until it is archived", fields);
  }

  /** Answers whoever waits for this file. */
  async #settle(entry: BacklogEntry, error: EngineError | undefined): Promise<void> {
    const { name } = entry.file;
    const waiters = this.#waiters.get(name) ?? [];
    this.#waiters.delete(name);
    for (const waiter of waiters) waiter(error);
    if (entry.wantedTurn === undefined) return;
    this.backlog.answered(entry);
    await answerWanted(name, error, this.#options);
  }

  async #isReady(name: string): Promise<boolean> {
    return exists(join(this.#options.walDirectory, "archive_status", `${name}.ready`));
  }
}

/** Whether an acknowledgement may still come of it. */
const isPending = (entry: BacklogEntry): boolean => entry.state === "waiting" && entry.onTheWay.size > 0;
