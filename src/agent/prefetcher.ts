import { chmod, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { systemClock, type Clock } from "../common/clock.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { FetchHints } from "../archive/fetch-hints.ts";
import { fetchWal, type FetchOutcome } from "../archive/fetch-wal.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import { isBeating, startHeartbeat } from "./agent-lock.ts";
import { restoreScript } from "./archive-script.ts";
import { spoolOwnerFor } from "./local-system.ts";
import { removePrefetchFolder } from "./prefetch-folder.ts";
import { PrefetchWindow, windowSegments } from "./prefetch-window.ts";
import { watchNames } from "./ready-files.ts";
import { readBootId, readyFolderOf } from "./ready-folder.ts";
import { restoreCommandLine } from "./shell-text.ts";
import { exists, makePrivateFolders, spoolNames, writeSpoolFile, type SpoolOwner } from "./spool.ts";

export interface PrefetcherOptions {
  /** A folder of its own, on the file system of pg_wal (`prefetchRootOf`). What is in it is removed, now and at the end. */
  readonly root: string;
  readonly repositories: readonly Repository[];
  readonly walSegmentSizeBytes: number;
  readonly expectedSystemIdentifier?: SystemIdentifier;
  /** The command line that fetches a file without the prefetcher; the file's name and destination are added. */
  readonly fetchCommand: readonly string[];
  /** How much to hold ready. Default 128 MiB, but one segment at least. */
  readonly limitBytes?: number;
  /** Fetches ahead at a time. Default: one per processor, two at least. */
  readonly concurrency?: number;
  /** How long a store in trouble is asked again before recovery is stopped. Default 30 s. */
  readonly patienceMs?: number;
  /** Whom the files shall belong to, when we are root. Default: the owner of the folder above `root`. */
  readonly owner?: SpoolOwner;
  /** Where the machine's boot id is read: for tests. */
  readonly bootIdPath?: string;
  /** Leave the restore command usable when this ends: it then fetches without a prefetcher. Default: remove all. */
  readonly leaveScript?: boolean;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Prefetcher extends AsyncDisposable {
  /** The value for the setting `restore_command`. */
  readonly restoreCommand: string;
  /** How long ago PostgreSQL last asked for, or took, a file. */
  idleMs(): number;
}

const pollMs = 1000;
const retryMs = 1000;

/**
 * Serves one server in recovery: answers its `restore_command` and fetches the segments it will ask for next, so that the
 * command is a rename. Disposing ends it and removes its folder; after that the restore command exits with 150, which
 * stops a recovery that still asks, as it must.
 *
 * @throws EngineError `locked` when another process serves this folder: what lies in it is in use.
 */
export async function startPrefetcher(given: PrefetcherOptions): Promise<Prefetcher> {
  const root = resolve(given.root);
  const owner = given.owner ?? (await spoolOwnerFor(dirname(root)));
  const options = owner === undefined ? given : { ...given, owner };
  await makePrivateFolders([root], options.owner);
  const pidFile = join(root, "agent.pid");
  if (await isBeating(pidFile)) {
    throw new EngineError("locked", `another process prefetches into "${root}"`, {
      hint: "Stop it first, or leave the fetching to it.",
    });
  }
  // First of all, so that a process that starts a moment later sees it.
  const heartbeat = await startHeartbeat(pidFile, options.owner, () =>
    options.log.error("another process prefetches into the same folder", { path: root }),
  );
  const bootId = await readBootId(options.bootIdPath);
  try {
    await prepareFolder(root, readyFolderOf(root, bootId), options);
  } catch (error) {
    await heartbeat[Symbol.asyncDispose]();
    throw error;
  }
  const service = new PrefetchService(root, bootId, options);
  service.start();
  return {
    restoreCommand: restoreCommandLine(root),
    idleMs: () => service.idleMs(),
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await heartbeat[Symbol.asyncDispose]();
      // Segments that were fetched ahead would only fill the disk.
      await removePrefetchFolder(options.leaveScript === true ? join(root, "ready") : root);
    },
  };
}

async function prepareFolder(root: string, ready: string, options: PrefetcherOptions): Promise<void> {
  const { owner } = options;
  const folders = ["ready", "want", "absent", "failed"].map((name) => join(root, name));
  // What an earlier run left is not to be trusted: it may be of another server. The script stays until it is replaced:
  // a restore command may be about to run it. So do requests, which are answered anew.
  for (const folder of folders.filter((name) => !name.endsWith("want"))) await removePrefetchFolder(folder);
  await makePrivateFolders([...folders, ready], owner);
  const script = join(root, "restore.sh");
  await writeSpoolFile(script, restoreScript({ root, fallbackCommand: options.fetchCommand }), { owner });
  await chmod(script, 0o700);
}

class PrefetchService {
  readonly #options: PrefetcherOptions;
  readonly #root: string;
  readonly #readyFolder: string;
  readonly #mustSync: boolean;
  readonly #clock: Clock;
  readonly #window: PrefetchWindow;
  readonly #hints = new FetchHints();
  readonly #stop = new AbortController();
  readonly #ready = new Set<string>();
  readonly #fetching = new Map<string, Promise<FetchOutcome>>();
  readonly #serving = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();
  #watchers: { close(): void }[] = [];
  #aheadFromMs = 0;
  #activeAtMs: number;

  constructor(root: string, bootId: string | undefined, options: PrefetcherOptions) {
    this.#root = root;
    this.#readyFolder = readyFolderOf(root, bootId);
    this.#mustSync = bootId === undefined;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#activeAtMs = this.#clock.monotonicMs();
    const { walSegmentSizeBytes, limitBytes } = options;
    this.#window = new PrefetchWindow(walSegmentSizeBytes, windowSegments(walSegmentSizeBytes, limitBytes));
  }

  start(): void {
    const nothing = () => undefined;
    this.#watchers = [
      watchNames(
        join(this.#root, "want"),
        (name) => this.#run(async () => this.#onWantChange(name)),
        nothing,
      ),
      watchNames(this.#readyFolder, (name) => this.#run(async () => this.#onReadyChange(name)), nothing),
    ];
    this.#run(async () => this.#poll());
  }

  idleMs(): number {
    return this.#clock.monotonicMs() - this.#activeAtMs;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const watcher of this.#watchers) watcher.close();
    await Promise.all(this.#tasks);
    await Promise.allSettled(this.#fetching.values());
  }

  /** Starts a task that `stop` waits for; its failure is logged here. */
  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        this.#options.log.error("prefetching failed", { error: describeError(error) });
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /** Watching is a hint; this makes sure. */
  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for (const name of await spoolNames(join(this.#root, "want"))) this.#want(name);
      for (const name of this.#ready) await this.#onReadyChange(name);
      this.#fill();
      await this.#clock.sleep(pollMs, signal).catch(() => undefined);
    }
  }

  async #onWantChange(name: string): Promise<void> {
    if (await exists(join(this.#root, "want", name))) this.#want(name);
  }

  /** A file that has left the folder was taken by PostgreSQL: replay is there. */
  async #onReadyChange(name: string): Promise<void> {
    if (!this.#ready.has(name) || (await exists(join(this.#readyFolder, name)))) return;
    if (!this.#ready.delete(name)) return;
    this.#activeAtMs = this.#clock.monotonicMs();
    this.#movedTo(parseWalFileName(name));
  }

  #movedTo(file: WalFileName | undefined): void {
    if (file?.kind !== "segment") return;
    this.#window.delivered(file.segment);
    for (const name of this.#ready) {
      if (!this.#window.isObsolete(name)) continue;
      this.#ready.delete(name);
      this.#run(async () => rm(join(this.#readyFolder, name), { force: true }));
    }
    this.#fill();
  }

  #want(name: string): void {
    const file = parseWalFileName(name);
    if (file === undefined || this.#serving.has(name)) return;
    this.#serving.add(name);
    this.#activeAtMs = this.#clock.monotonicMs();
    this.#run(async () => {
      try {
        await this.#serve(file);
      } finally {
        this.#serving.delete(name);
      }
    });
  }

  /** Answers one request: the file, or that it is absent, or why nobody can tell. */
  async #serve(file: WalFileName): Promise<void> {
    const answer = await this.#answer(file);
    const marker = (folder: string, text: string) =>
      writeSpoolFile(join(this.#root, folder, file.name), text, { owner: this.#options.owner });
    if (answer instanceof EngineError) await marker("failed", failureText(file, answer));
    else if (answer.kind === "absent") await marker("absent", "");
    await rm(join(this.#root, "want", file.name), { force: true });
    if (!(answer instanceof EngineError) && answer.kind === "delivered") this.#movedTo(file);
  }

  /** Asks again while the store is in trouble, as long as patience lasts. */
  async #answer(file: WalFileName): Promise<FetchOutcome | EngineError> {
    const { signal } = this.#stop;
    const untilMs = this.#clock.monotonicMs() + (this.#options.patienceMs ?? 30_000);
    for (;;) {
      try {
        if (await exists(join(this.#readyFolder, file.name))) {
          return { kind: "delivered", bytes: 0, repository: "" };
        }
        const joined = this.#fetching.get(file.name);
        const outcome = await (joined ?? this.#fetch(file));
        // A fetch ahead may have looked just before the file was archived: only a look after the question counts.
        if (joined === undefined || outcome.kind === "delivered") return outcome;
      } catch (error) {
        if (signal.aborted || isEngineError(error, "aborted")) throw error;
        if (!(error instanceof EngineError)) throw error;
        if (!error.retryable || this.#clock.monotonicMs() >= untilMs) return error;
        await this.#clock.sleep(retryMs, signal);
      }
    }
  }

  /** Fetches ahead as far as the window and the limit on concurrency go. */
  #fill(): void {
    if (this.#stop.signal.aborted || this.#clock.monotonicMs() < this.#aheadFromMs) return;
    const limit = this.#options.concurrency ?? Math.max(2, availableParallelism());
    for (const segment of this.#window.ahead()) {
      if (this.#fetching.size >= limit) return;
      if (this.#ready.has(segment) || this.#fetching.has(segment)) continue;
      const file = parseWalFileName(segment);
      if (file !== undefined) this.#run(async () => this.#fetchAhead(file));
    }
  }

  async #fetchAhead(file: WalFileName): Promise<void> {
    try {
      const outcome = await this.#fetch(file);
      if (outcome.kind === "absent" && file.kind === "segment") this.#window.absent(file.segment);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // Nobody waits for it yet; when somebody does, it is fetched again, and then the error counts.
      this.#aheadFromMs = this.#clock.monotonicMs() + retryMs;
      this.#options.log.debug("could not fetch ahead", { segment: file.name, error: describeError(error) });
    }
    this.#fill();
  }

  /** One fetch into the folder of ready files, where a file appears whole. */
  async #fetch(file: WalFileName): Promise<FetchOutcome> {
    const { repositories, walSegmentSizeBytes, expectedSystemIdentifier, owner } = this.#options;
    const fetching = fetchWal({
      file,
      destination: join(this.#readyFolder, file.name),
      repositories,
      walSegmentSizeBytes,
      sync: this.#mustSync,
      hints: this.#hints,
      signal: this.#stop.signal,
      ...(expectedSystemIdentifier === undefined ? {} : { expectedSystemIdentifier }),
      ...(owner === undefined ? {} : { owner }),
    });
    this.#fetching.set(file.name, fetching);
    try {
      const outcome = await fetching;
      if (outcome.kind === "delivered") this.#ready.add(file.name);
      return outcome;
    } finally {
      this.#fetching.delete(file.name);
    }
  }
}

/** What PostgreSQL's log shows before it stops. */
function failureText(file: WalFileName, error: EngineError): string {
  const hint = error.hint === undefined ? "" : `tidemark: ${error.hint}\n`;
  return `tidemark: could not tell whether WAL file ${file.name} can be had: ${describeError(error)}\n${hint}`;
}
