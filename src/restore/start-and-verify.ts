import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../common/abort.ts";
import { systemClock } from "../common/clock.ts";
import { describeError, EngineError, fileError, systemErrorCode } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import { silentLog, type Log } from "../common/log.ts";
import { formatLsn, type Lsn } from "../postgres/lsn.ts";
import type { RecoveryAction } from "../postgres/recovery-settings.ts";
import { parseTimelineHistory } from "../postgres/timeline-history.ts";
import { timelineId, type TimelineId } from "../postgres/timeline.ts";
import { timelineHistoryFileName } from "../postgres/wal-file-name.ts";
import type { RunningServer } from "../postgres/server-running.ts";
import { startServer, type StartOptions } from "../postgres/server.ts";
import { serverMajor } from "../repository/backup-info.ts";
import type { RestorePlan } from "./plan-restore.ts";
import { hintForFailure, readRecoveryLog, type RecoveryLog } from "./recovery-log.ts";
import { whyMissed } from "./verify-target.ts";

export interface VerifyOptions {
  readonly plan: RestorePlan;
  /** As for `startServer`; its settings win over ours. The caller stops the server. */
  readonly start: Omit<StartOptions, "readyTimeoutMs" | "signal">;
  /** What the recovery was set up to do at its target. Default `promote`. */
  readonly action?: RecoveryAction | undefined;
  /** Default: as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** Told about once a second how far replay is, where the server's log or title says so. */
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifiedRecovery {
  /** Undefined when the server was to shut down at its target. */
  readonly server: RunningServer | undefined;
  /** Behind the last replayed record: where the new timeline begins. */
  readonly reachedLsn: Lsn | undefined;
  /** After a promotion. */
  readonly newTimeline: TimelineId | undefined;
  /** PostgreSQL's text; undefined when no transaction was replayed. */
  readonly lastReplayedTransactionTime: string | undefined;
  /** PostgreSQL's words: `before commit of transaction 745, time …`; `end of WAL` without a target. */
  readonly stopReason: string;
  readonly durationMs: number;
}

/**
 * So that its log can be read, whatever the restored configuration says: English, everything from LOG up, to the
 * server's standard error. Archiving stays as configured: `writeRestoredSettings` decides about it.
 */
const readableLog = {
  lc_messages: "C",
  log_min_messages: "warning",
  log_destination: "stderr",
  logging_collector: "off",
} as const;

/**
 * Starts the restored server, waits until recovery is over, and makes sure that it ended at the target. No connection
 * is needed, so it works with any authentication: `pg_control` says when recovery is over, the log and the new timeline's
 * history file say where it ended.
 *
 * Throws `target-missed` with PostgreSQL's own words when recovery ended elsewhere or failed; `postgres-missing`,
 * `postgres-failed`, `aborted`. The server is stopped then.
 */
export async function startAndVerify(options: VerifyOptions): Promise<VerifiedRecovery> {
  const { plan, action = "promote", log = silentLog, signal } = options;
  const began = performance.now();
  requireMajor(plan, options.start.binaries.major);
  const logFile = options.start.logFile ?? `${options.start.dataDirectory}.log`;
  const logStart = (await sizeOf(logFile)) ?? 0;
  const server = await startServer({
    ...options.start,
    logFile,
    settings: { ...readableLog, ...options.start.settings },
    readyTimeoutMs: 0,
  });
  faultPoint("restore:recovery-started");
  try {
    await waitForEnd(server, action, { ...options, logStart });
    const outcome = await readOutcome(server, logStart);
    const reason = whyMissed(plan.recovery.target, outcome, plan.walEnd?.endLsn);
    if (reason !== undefined) throw missed(server, reason, undefined);
    requireNewTimeline(plan, outcome.newTimeline, server, action);
    const result: VerifiedRecovery = {
      server: action === "shutdown" ? undefined : server,
      reachedLsn: outcome.reachedLsn,
      newTimeline: outcome.newTimeline,
      lastReplayedTransactionTime: outcome.log.lastTransactionTime,
      stopReason: outcome.log.stop ?? "end of WAL",
      durationMs: performance.now() - began,
    };
    log.info("recovery reached its target", {
      path: server.dataDirectory,
      durationMs: Math.round(result.durationMs),
      reason: result.stopReason,
      ...(result.reachedLsn === undefined ? {} : { lsn: formatLsn(result.reachedLsn) }),
      ...(result.newTimeline === undefined ? {} : { timeline: result.newTimeline }),
    });
    return result;
  } catch (error) {
    await server.stop("immediate");
    if (signal?.aborted === true) throwIfAborted(signal);
    throw error;
  }
}

function requireMajor({ recovery }: RestorePlan, major: number): void {
  const wanted = serverMajor(recovery.backup.info);
  if (wanted === major) return;
  throw new EngineError(
    "postgres-missing",
    `backup "${recovery.backup.id}" is of PostgreSQL ${wanted}, but the server programs are of ${major}`,
    { hint: `Install PostgreSQL ${wanted}, or name the folder of its programs.` },
  );
}

interface WaitContext extends VerifyOptions {
  readonly logStart: number;
}

async function waitForEnd(
  server: RunningServer,
  action: RecoveryAction,
  context: WaitContext,
): Promise<void> {
  const { timeoutMs, signal, logStart } = context;
  switch (action) {
    case "promote":
      await promoted(server, context);
      return;
    case "pause":
    case "shutdown":
      await logSays(server, logStart, { timeoutMs, signal }, (log) =>
        action === "pause" ? log.paused : log.shutdownAtTarget && server.exit !== undefined,
      );
  }
}

/** Ends early where waiting would never end: a hot standby pauses over parameters that are too low. */
async function promoted(server: RunningServer, { timeoutMs, signal, logStart }: WaitContext): Promise<void> {
  const watch = new AbortController();
  const both = signal === undefined ? watch.signal : AbortSignal.any([signal, watch.signal]);
  const stuck = logSays(server, logStart, { signal: both }, ({ stuck }) => stuck !== undefined).then(
    async () => {
      const { stuck: reason = "" } = readRecoveryLog(await logText(server.logFile, logStart));
      throw missed(server, reason, hintForFailure(reason));
    },
    // Its own end, by promotion or abort, is not news; the other side of the race tells.
    () => new Promise<never>(() => undefined),
  );
  try {
    await Promise.race([stuck, server.waitUntilPromoted({ timeoutMs, signal })]);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "postgres-failed") throw error;
    const { failure } = readRecoveryLog(await logText(server.logFile, logStart));
    throw missed(
      server,
      failure ?? describeError(error),
      failure === undefined ? error.hint : hintForFailure(failure),
      // PostgreSQL's own reason says all; without one, the end of the log is all there is.
      failure === undefined ? error : undefined,
    );
  } finally {
    watch.abort();
  }
}

const pollMs = 100;

async function logSays(
  server: RunningServer,
  logStart: number,
  options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined },
  holds: (log: RecoveryLog) => boolean,
): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  for (;;) {
    throwIfAborted(options.signal);
    const ended = server.exit !== undefined;
    const log = readRecoveryLog(await logText(server.logFile, logStart));
    if (holds(log)) return;
    if (ended) throw missed(server, log.failure ?? "the server ended", hintForFailure(log.failure ?? ""));
    if (performance.now() >= deadline)
      throw missed(server, `recovery did not end within ${options.timeoutMs} ms`, undefined);
    await systemClock.sleep(pollMs, options.signal);
  }
}

interface Outcome {
  readonly log: RecoveryLog;
  readonly newTimeline: TimelineId | undefined;
  readonly reachedLsn: Lsn | undefined;
}

async function readOutcome(server: RunningServer, logStart: number): Promise<Outcome> {
  const log = readRecoveryLog(await logText(server.logFile, logStart));
  const newTimeline = log.newTimeline === undefined ? undefined : timelineId(log.newTimeline);
  const branched = newTimeline === undefined ? undefined : await branchOf(server.dataDirectory, newTimeline);
  return { log, newTimeline, reachedLsn: branched ?? log.redoDoneLsn };
}

/** The history file that the promotion wrote ends with the position up to which the parent was replayed. */
async function branchOf(dataDirectory: string, timeline: TimelineId): Promise<Lsn | undefined> {
  const path = join(dataDirectory, "pg_wal", timelineHistoryFileName(timeline));
  try {
    return parseTimelineHistory(timeline, await readFile(path, "utf8")).entries.at(-1)?.switchLsn;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error instanceof EngineError ? error : fileError("read", path, error);
  }
}

function requireNewTimeline(
  plan: RestorePlan,
  newTimeline: TimelineId | undefined,
  server: RunningServer,
  action: RecoveryAction,
): void {
  if (action !== "promote") return;
  const { timeline } = plan.recovery.history;
  if (newTimeline !== undefined && newTimeline > timeline) return;
  throw missed(
    server,
    `the server is on timeline ${newTimeline ?? "unknown"}, which is not after ${timeline}`,
    undefined,
  );
}

function missed(
  server: RunningServer,
  reason: string,
  hint: string | undefined,
  cause?: unknown,
): EngineError {
  return new EngineError(
    "target-missed",
    `recovery in "${server.dataDirectory}" missed its target: ${reason}`,
    {
      hint: hint ?? `The server's log is "${server.logFile}".`,
      details: { logFile: server.logFile, dataDirectory: server.dataDirectory },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    await using handle = await open(path, "r");
    return (await handle.stat()).size;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw fileError("read", path, error);
  }
}

/** The log from `start` on: a recovery's is short, a line a restart point. */
async function logText(path: string, start: number): Promise<string> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    throw fileError("read", path, error);
  }
}
