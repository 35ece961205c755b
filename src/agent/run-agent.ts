import { chmod, readdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { abortError } from "../common/abort.ts";
import { systemClock, type Clock } from "../common/clock.ts";
import { describeError, EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { requireWalFileName } from "../archive/wal-file.ts";
import { ReadBuffers } from "../archive/read-buffers.ts";
import { WalEncoder } from "../archive/encode-wal.ts";
import { RepositoryClaims } from "../archive/repository-claims.ts";
import { formatSystemIdentifier } from "../postgres/system-identifier.ts";
import { isEnough } from "./ack-scope.ts";
import { Acks } from "./ack.ts";
import { requireUnlocked, startHeartbeat } from "./agent-lock.ts";
import { listen } from "./agent-socket.ts";
import { checkPolicy, type ArchivePolicy } from "./archive-policy.ts";
import { archiveScript } from "./archive-script.ts";
import { collectStatus } from "./collect-status.ts";
import { Findings } from "./findings.ts";
import { Healing } from "./healing.ts";
import { readLocalSystem, spoolOwnerFor } from "./local-system.ts";
import { LookAhead } from "./look-ahead.ts";
import { OwedBook } from "./owed-book.ts";
import { RepositoryLanes } from "./repository-lanes.ts";
import { archiveCommandLine } from "./shell-text.ts";
import {
  makePrivateFolders,
  removeUnfinished,
  spoolAt,
  spoolRootOf,
  writeSpoolFile,
  type Spool,
} from "./spool.ts";

export interface AgentOptions {
  /** It need not exist yet, nor need the server run: the agent waits for it. */
  readonly dataDirectory: string;
  /** Below it one spool per PostgreSQL system; see `spool.ts`. */
  readonly spoolDirectory: string;
  readonly targets: readonly ArchiveTarget[];
  /** Default: all. */
  readonly policy?: ArchivePolicy;
  /** WAL files on their way to one repository at a time. Default: three per processor, four to eight. */
  readonly concurrency?: number;
  /** The command line that archives a file without the agent; the file's path is added. */
  readonly pushCommand: readonly string[];
  readonly log: Log;
  readonly clock?: Clock;
  /** Stops the agent; pushes under way get `stopTimeoutMs` (default 10 s) to end. */
  readonly signal: AbortSignal;
  readonly stopTimeoutMs?: number;
  /** Called whenever the agent has begun to serve a PostgreSQL system. */
  readonly onServing?: (serving: ServingAgent) => void;
}

export interface ServingAgent {
  readonly system: ExpectedSystem;
  readonly spoolRoot: string;
  /** The value for the setting `archive_command`. */
  readonly archiveCommand: string;
}

/** How often the data directory is looked at: does it exist, is it still the same system. */
const lookMs = 2000;

/**
 * The resident process beside one PostgreSQL: archives its WAL until the signal fires. When the data directory is
 * replaced by that of another system, it goes on with that one, in another spool.
 *
 * It does its file work and compression in Node's thread pool: set `UV_THREADPOOL_SIZE` (16 is plenty) before the process
 * starts, or syncs to disk will hold up compression.
 *
 * @throws EngineError `locked` when another agent serves the spool, `config` for an impossible policy.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { log, signal } = options;
  const clock = options.clock ?? systemClock;
  checkPolicy(
    options.policy ?? "all",
    options.targets.map(({ repository }) => repository.name),
  );
  let isWaiting = false;
  while (!signal.aborted) {
    const system = await lookAtSystem(options);
    if (system !== undefined) {
      isWaiting = false;
      await serve(options, clock, system);
    } else if (!isWaiting) {
      isWaiting = true;
      log.info("waiting for PostgreSQL's data directory", { path: options.dataDirectory });
    }
    await clock.sleep(system === undefined ? lookMs : 0, signal).catch(() => undefined);
  }
}

async function lookAtSystem({ dataDirectory, log }: AgentOptions): Promise<ExpectedSystem | undefined> {
  try {
    return await readLocalSystem(dataDirectory);
  } catch (error) {
    log.warn("could not tell which PostgreSQL system this is", { error: describeError(error) });
    return undefined;
  }
}

/** Serves one system until the agent is stopped or the data directory is another's. */
async function serve(options: AgentOptions, clock: Clock, system: ExpectedSystem): Promise<void> {
  const dataDirectory = resolve(options.dataDirectory);
  const root = spoolRootOf(options.spoolDirectory, system.systemIdentifier);
  const spool = spoolAt(root, await spoolOwnerFor(dataDirectory));
  const log = options.log.child({ system: formatSystemIdentifier(system.systemIdentifier) });
  await makePrivateFolders(
    [root, spool.ack, spool.since, spool.refused, spool.want, spool.owed, spool.heal],
    spool.owner,
  );
  await requireUnlocked(spool);

  const end = new AbortController();
  const stop = AbortSignal.any([options.signal, end.signal]);
  const hardStop = hardStopAfter(stop, options.stopTimeoutMs ?? 10_000);
  let lost: EngineError | undefined;
  const parts = createParts(options, clock, { system, spool, log, abort: hardStop.signal });
  const { look } = parts;

  await using heartbeat = await startHeartbeat(spool.pidFile, spool.owner, () => {
    lost = new EngineError("locked", `another agent has taken over the spool "${root}"`);
    end.abort();
  });
  void heartbeat;
  const startedAt = clock.now();
  await using socket = await listen(spool, async (request) => {
    if (request.op === "status") {
      return collectStatus({ ...parts, options, dataDirectory, system, startedAt, clock });
    }
    await look.push(requireWalFileName(request.name));
    return undefined;
  });
  await prepareFiles(options, spool, { socket: socket.path, dataDirectory, system, startedAt });
  options.onServing?.({ system, spoolRoot: root, archiveCommand: archiveCommandLine(root) });
  log.info("archiving", { path: dataDirectory });

  const watching = watchSystem(options, clock, system, stop).then((isOther) => {
    if (isOther) log.warn("the data directory is that of another PostgreSQL system now");
    end.abort();
  });
  const healing = Promise.all([
    parts.findings.run(stop, hardStop.signal),
    parts.healing.run(stop, hardStop.signal),
  ]);
  try {
    await look.run(stop);
  } finally {
    end.abort();
    await Promise.all([watching, healing]);
    hardStop.clear();
  }
  log.info("stopped archiving", { path: dataDirectory });
  if (lost !== undefined) throw lost;
}

function createParts(
  options: AgentOptions,
  clock: Clock,
  given: {
    readonly system: ExpectedSystem;
    readonly spool: Spool;
    readonly log: Log;
    readonly abort: AbortSignal;
  },
) {
  const { system, spool, log } = given;
  const { targets, policy = "all" } = options;
  const owed = new OwedBook(spool);
  const context = {
    claims: new RepositoryClaims(clock),
    buffers: new ReadBuffers(),
    encoder: new WalEncoder(),
    log,
  };
  const repositories = targets.map(({ repository }) => repository);
  const lanes = new RepositoryLanes(
    repositories.map(({ name }) => name),
    {
      policy,
      limit: options.concurrency ?? Math.min(8, Math.max(4, 3 * availableParallelism())),
      clock,
      log,
    },
  );
  const common = {
    ...given,
    walDirectory: join(resolve(options.dataDirectory), "pg_wal"),
    expected: system,
    targets,
    lanes,
    context,
    clock,
  };
  const acks = new Acks(spool, system.systemIdentifier, async (ack) =>
    isEnough(ack, { targets, policy, owed }),
  );
  const look = new LookAhead({ ...common, acks, owed });
  const findings = new Findings({
    ...common,
    repositories,
    segmentSizeBytes: system.walSegmentSizeBytes,
    book: owed,
    isLive: (name) =>
      look.backlog.get(name) !== undefined || lanes.names.some((each) => lanes.isOnTheWay(name, each)),
  });
  const healing = new Healing({
    ...common,
    book: owed,
    findings,
    waitingFiles: () => look.waitingFiles(),
  });
  return { look, owed, lanes, findings, healing };
}

async function prepareFiles(
  options: AgentOptions,
  spool: Spool,
  state: {
    readonly socket: string;
    readonly dataDirectory: string;
    readonly system: ExpectedSystem;
    readonly startedAt: Date;
  },
): Promise<void> {
  const { owner } = spool;
  for (const folder of [spool.refused, spool.owed, spool.root]) await removeUnfinished(folder);
  for (const name of await readdir(spool.heal)) await rm(join(spool.heal, name), { force: true });
  const script = archiveScript({ root: spool.root, fallbackCommand: options.pushCommand });
  await writeSpoolFile(spool.archiveScript, script, { owner });
  await chmod(spool.archiveScript, 0o700);
  const { socket, dataDirectory, system, startedAt } = state;
  const text = JSON.stringify({
    pid: process.pid,
    socket,
    dataDirectory,
    systemIdentifier: formatSystemIdentifier(system.systemIdentifier),
    startedAt: startedAt.toISOString(),
  });
  await writeSpoolFile(spool.stateFile, `${text}\n`, { owner });
}

/** Resolves to true when the directory holds another system, to false when stopped. */
async function watchSystem(
  options: AgentOptions,
  clock: Clock,
  system: ExpectedSystem,
  stop: AbortSignal,
): Promise<boolean> {
  while (!stop.aborted) {
    await clock.sleep(lookMs, stop).catch(() => undefined);
    const now = await lookAtSystem(options);
    // A directory that is gone for a moment is being replaced: what comes is looked at then.
    if (now === undefined) continue;
    const isSame =
      now.systemIdentifier === system.systemIdentifier &&
      now.walSegmentSizeBytes === system.walSegmentSizeBytes;
    if (!isSame) return true;
  }
  return false;
}

/** A signal that fires some time after another one. */
function hardStopAfter(stop: AbortSignal, delayMs: number) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    timer = setTimeout(() => controller.abort(abortError(stop)), delayMs);
  };
  stop.addEventListener("abort", onStop, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      stop.removeEventListener("abort", onStop);
      clearTimeout(timer);
    },
  };
}
