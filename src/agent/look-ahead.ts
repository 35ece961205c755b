import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { pushWal, requireAllArchived, type PushContext, type PushReport } from "../archive/push-wal.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import { addressesOf } from "./ack-scope.ts";
import type { Acks } from "./ack.ts";
import { isPolicyMet, type ArchivePolicy } from "./archive-policy.ts";
import { Backlog, type BacklogEntry, type Job } from "./backlog.ts";
import { DrainMeter } from "./drain-meter.ts";
import type { OwedBook } from "./owed.ts";
import { readReadyFiles, statusChange, WatchedFolder } from "./ready-files.ts";
import { RepositoryHealth } from "./repository-health.ts";
import { returnMemory } from "./return-memory.ts";
import { exists, removeFile, spoolNames, writeSpoolFile, type Spool } from "./spool.ts";
import { UnmarkedLook } from "./unmarked-look.ts";

export interface LookAheadOptions {
  readonly walDirectory: string;
  readonly spool: Spool;
  readonly acks: Acks;
  readonly owed: OwedBook;
  readonly targets: readonly ArchiveTarget[];
  readonly policy: ArchivePolicy;
  readonly expected: ExpectedSystem;
  readonly context: PushContext;
  /** Pushes at a time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends pushes under way; `run`'s signal only ends new ones. */
  readonly abort: AbortSignal;
}

/** Faults of the file or its archive, not of the moment: PostgreSQL asks again sooner than this. */
const refusedRetryMs = 60_000;
const firstRetryMs = 1000;
const longestRetryMs = 30_000;
/** Watching brings news at once; looking makes sure. Large folders are looked at less often. */
const shortestPollMs = 1000;
/** After this long without work, memory for it is given back. */
const idleAfterMs = 10_000;
const refusals: ReadonlySet<string> = new Set(["wal-refused", "wal-conflict", "postgres-format"]);

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
  readonly health: ReadonlyMap<string, RepositoryHealth>;
  lastArchived: LastEvent | undefined;
  lastFailure: LastEvent | undefined;
  readonly #options: LookAheadOptions;
  readonly #repositories: readonly string[];
  readonly #waiters = new Map<string, ((error: EngineError | undefined) => void)[]>();
  readonly #running = new Set<Promise<void>>();
  #isStopping = false;
  #areAcksOurs = false;
  /** The code of the last failure of this machine, until a file gets through. */
  #localFailure: string | undefined;
  #busyAtMs: number | undefined;
  readonly #unmarked: UnmarkedLook;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LookAheadOptions) {
    this.#options = options;
    this.#repositories = options.targets.map(({ repository }) => repository.name);
    this.backlog = new Backlog(this.#repositories);
    this.health = new Map(this.#repositories.map((name) => [name, new RepositoryHealth()]));
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
      await Promise.all(this.#running);
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
      const isOver =
        !readyNames.has(entry.file.name) && entry.keepUntilMs < nowMs && entry.state !== "pushing";
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
    if (this.#running.size > 0 || this.#busyAtMs === undefined) return;
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
      if (entry === undefined || entry.state === "pushing") return;
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
    while (!this.#isStopping && this.#running.size < this.#options.concurrency) {
      const nowMs = this.#options.clock.monotonicMs();
      const next = this.backlog.next(nowMs, {
        availableAtMs: (name) => this.health.get(name)?.availableAtMs(nowMs) ?? nowMs,
      });
      if ("atMs" in next) {
        if (Number.isFinite(next.atMs)) this.#timer = setTimeout(() => this.#pump(), next.atMs - nowMs + 1);
        return;
      }
      this.#start(next);
    }
  }

  #start(job: Job): void {
    const { entry } = job;
    entry.state = "pushing";
    this.#busyAtMs = this.#options.clock.monotonicMs();
    for (const name of job.repositories) this.health.get(name)?.started();
    const running = this.#pushAndSettle(job).finally(() => {
      this.#running.delete(running);
      this.#pump();
    });
    this.#running.add(running);
  }

  async #pushAndSettle(job: Job): Promise<void> {
    const { entry } = job;
    try {
      const error = await this.#push(job);
      if (error === undefined) return await this.#settle(entry, undefined);
      await this.#failed(entry, error, false);
    } catch (cause) {
      const error =
        cause instanceof EngineError ? cause : new EngineError("internal", describeError(cause), { cause });
      await this.#failed(entry, error, true);
    } finally {
      for (const name of job.repositories) this.health.get(name)?.released();
    }
  }

  /** Pushes, and acknowledges when that meets the policy. Gives the error when it does not. */
  async #push(job: Job): Promise<EngineError | undefined> {
    const { entry } = job;
    const { walDirectory, acks, targets, expected, context, abort } = this.#options;
    const path = join(walDirectory, entry.file.name);
    // Acknowledged before the agent was restarted, and unchanged since.
    if (entry.done.size === 0 && (await acks.covers(entry.file.name, path))) return undefined;
    const report = await pushWal(context, {
      path,
      file: entry.file,
      targets: targets.filter(({ repository }) => job.repositories.includes(repository.name)),
      expected,
      signal: abort,
    });
    this.#record(entry, report);
    if (!isPolicyMet(this.#options.policy, this.#repositories, entry.done)) {
      return (
        firstError(report) ??
        new EngineError("wal-timeout", `WAL file "${entry.file.name}" is not everywhere yet`)
      );
    }
    try {
      await this.#acknowledge(entry, report);
    } catch (error) {
      // Nothing is left to push, so without this nothing would ever be tried again: the next turn compares and writes anew.
      this.backlog.reopen(entry);
      throw error;
    }
    return undefined;
  }

  #record(entry: BacklogEntry, report: PushReport): void {
    const fingerprint = `${report.sizeBytes}:${report.mtimeNs}`;
    if (entry.fingerprint !== fingerprint) entry.done = new Set();
    entry.fingerprint = fingerprint;
    for (const outcome of report.outcomes) {
      if (outcome.kind !== "failed") entry.done.add(outcome.repository);
      this.noteHealth(outcome.repository, outcome.kind === "failed" ? outcome.error : undefined);
    }
  }

  /** What a push or a repair tells about a repository. */
  noteHealth(name: string, error: EngineError | undefined): void {
    const health = this.health.get(name);
    if (health === undefined) return;
    const { clock, log } = this.#options;
    if (error === undefined) {
      if (health.report().state === "failing") log.info("repository works again", { repository: name });
      health.succeeded();
    } else if (!refusals.has(error.code) && error.code !== "aborted") {
      if (health.report().state === "ok") {
        log.warn("repository does not take WAL; it is tried again until it does", {
          repository: name,
          error: describeError(error),
        });
      }
      health.failed(error, { nowMs: clock.monotonicMs(), time: clock.now(), random: Math.random() });
    }
  }

  async #acknowledge(entry: BacklogEntry, report: PushReport): Promise<void> {
    const { acks, owed } = this.#options;
    const { file, sizeBytes, mtimeNs, checksum } = report;
    if (checksum === undefined)
      throw new EngineError("internal", `WAL file "${file.name}" was pushed without being read`);
    const missing = this.#repositories.filter((name) => !entry.done.has(name));
    // Before the acknowledgement: afterwards PostgreSQL forgets the file.
    if (missing.length > 0) await owed.write({ file, sizeBytes, mtimeNs, repositories: missing });
    faultPoint("agent:before-ack");
    const repositories = addressesOf(
      this.#options.targets.filter(({ repository }) => entry.done.has(repository.name)),
    );
    await acks.write({ name: file.name, sizeBytes, mtimeNs, checksum, repositories });
    faultPoint("agent:after-ack");
    this.#localFailure = undefined;
    this.meter.drained(this.#options.clock.monotonicMs());
    this.lastArchived = { name: file.name, at: this.#options.clock.now() };
    this.#options.log.debug("archived", { segment: file.name, bytes: sizeBytes });
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
    entry.retryAtMs = clock.monotonicMs() + this.#retryAfterMs(entry, error);
    entry.failures++;
    this.lastFailure = { name, at: clock.now(), error: { code: error.code, message: error.message } };
    return this.#settle(entry, error);
  }

  /** Once per file and reason. A full disk is one reason for all files: until one gets through it is said once. */
  #logFailure(name: string, error: EngineError, isLocal: boolean): void {
    const { log } = this.#options;
    const fields = { segment: name, error: describeError(error) };
    if (refusals.has(error.code)) return log.error("WAL file refused", fields);
    // What a repository does is said once for all files too (`noteHealth`).
    if (!isLocal || error.code === this.#localFailure) return;
    this.#localFailure = error.code;
    log.warn("could not archive a WAL file; it is tried again until it is archived", fields);
  }

  #retryAfterMs(entry: BacklogEntry, error: EngineError): number {
    if (refusals.has(error.code)) return refusedRetryMs;
    // A repository in trouble has its own pause, shared by all files.
    if (error.code.startsWith("store-")) return 0;
    return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(entry.failures, 10));
  }

  /** Answers whoever waits for this file. */
  async #settle(entry: BacklogEntry, error: EngineError | undefined): Promise<void> {
    const { spool, log } = this.#options;
    const { name } = entry.file;
    if (error === undefined) {
      entry.state = "acknowledged";
      entry.error = undefined;
      entry.failures = 0;
    }
    const waiters = this.#waiters.get(name) ?? [];
    this.#waiters.delete(name);
    for (const waiter of waiters) waiter(error);
    if (entry.wantedTurn === undefined) return;
    this.backlog.answered(entry);
    try {
      if (error !== undefined)
        await writeSpoolFile(join(spool.refused, name), refusalText(name, error), spool);
      await removeFile(join(spool.want, name));
    } catch (failure) {
      log.error("could not answer a waiting archive_command", {
        segment: name,
        error: describeError(failure),
      });
    }
  }

  async #isReady(name: string): Promise<boolean> {
    return exists(join(this.#options.walDirectory, "archive_status", `${name}.ready`));
  }
}

function firstError(report: PushReport): EngineError | undefined {
  try {
    requireAllArchived(report);
    return undefined;
  } catch (error) {
    return error instanceof EngineError ? error : undefined;
  }
}

/** What PostgreSQL's log shows. */
function refusalText(name: string, error: EngineError): string {
  const hint = error.hint === undefined ? "" : `tidemark: ${error.hint}\n`;
  return `tidemark: WAL file ${name} is not archived: ${describeError(error)}\n${hint}`;
}
