import { parseLsn, type Lsn } from "../postgres/lsn.ts";

/**
 * What a server's log says about a recovery. The lines are looked for by their English text behind the severity, so that
 * `log_line_prefix` does not matter; the server is started with `lc_messages = C`. Texts: xlogrecovery.c and xlog.c of
 * PostgreSQL 13 to 18.
 */
export interface RecoveryLog {
  /** `before commit of transaction 745, time 2026-11-21 10:00:00.5+00`, and so on; undefined when no target was met. */
  readonly stop: string | undefined;
  /** Where the last replayed record starts. */
  readonly redoDoneLsn: Lsn | undefined;
  /** PostgreSQL's text of the time, with its offset. */
  readonly lastTransactionTime: string | undefined;
  readonly newTimeline: number | undefined;
  /** Recovery waits: at a target with the action `pause`, or because a parameter is too low. */
  readonly paused: boolean;
  readonly shutdownAtTarget: boolean;
  /** The first complaint that ended the server; of sessions' own complaints none. */
  readonly failure: string | undefined;
  /** Why recovery stands still although nobody asked for it. */
  readonly stuck: string | undefined;
}

/** What sessions are told that come too early, or may not come at all. */
const ofSessions =
  /the database system is |authentication|pg_hba\.conf|(?:role|database) ".*" does not exist|terminating |canceling |remaining connection slots/;

/** Reads the whole of one run's log; later lines win. */
export function readRecoveryLog(text: string): RecoveryLog {
  let stop: string | undefined;
  let redoDoneLsn: Lsn | undefined;
  let lastTransactionTime: string | undefined;
  let newTimeline: number | undefined;
  let paused = false;
  let shutdownAtTarget = false;
  let failure: string | undefined;
  let stuck: string | undefined;
  for (const line of text.split("\n")) {
    stop = /\brecovery stopping ((?:before|after|at) .*)$/.exec(line)?.[1] ?? stop;
    const redo = /\bredo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(line)?.[1];
    if (redo !== undefined) redoDoneLsn = parseLsn(redo);
    lastTransactionTime =
      /\blast completed transaction was at log time (.*)$/.exec(line)?.[1] ?? lastTransactionTime;
    const timeline = /\bselected new timeline ID: (\d+)/.exec(line)?.[1];
    if (timeline !== undefined) newTimeline = Number(timeline);
    if (/\b(?:recovery has paused|pausing at the end of recovery)/.test(line)) paused = true;
    if (/\bshutdown at recovery target/.test(line)) shutdownAtTarget = true;
    const fatal = /\b(?:FATAL|PANIC):\s+(.*)$/.exec(line)?.[1];
    if (fatal !== undefined && !ofSessions.test(fatal)) failure ??= fatal;
    stuck = /WARNING:\s+(hot standby is not possible because .*)$/.exec(line)?.[1] ?? stuck;
  }
  return { stop, redoDoneLsn, lastTransactionTime, newTimeline, paused, shutdownAtTarget, failure, stuck };
}

/** What to do about a recovery that failed, by PostgreSQL's own words; undefined when they say enough. */
export function hintForFailure(failure: string): string | undefined {
  const found = hints.find(({ pattern }) => pattern.test(failure));
  return found?.hint;
}

const hints: readonly { readonly pattern: RegExp; readonly hint: string }[] = [
  {
    pattern: /recovery ended before configured recovery target was reached/,
    hint: "The WAL ends before the target. Give an earlier target, or --to-latest for everything there is.",
  },
  {
    pattern: /requested recovery stop point is before consistent recovery point/,
    hint: "The target lies before the end of the base backup. Give a later target, or an older backup with --backup.",
  },
  {
    pattern: /could not restore file .* from archive/,
    hint: "restore_command could not tell whether the file exists: the object store was not reachable, or refused. Start the server again once it is; nothing is lost.",
  },
  {
    pattern: /WAL ends before (?:end of online backup|consistent recovery point)/,
    hint: "WAL that the backup needs is missing from the archive. Choose another backup with --backup.",
  },
  {
    pattern: /insufficient parameter settings|hot standby is not possible because/,
    hint: "The origin had higher settings later than the backup. Raise the parameters the log names in postgresql.conf, then start the server again.",
  },
  {
    pattern: /requested timeline .* (?:is not a child|does not contain)/,
    hint: "The backup does not lie on this timeline's path. Choose another timeline with --timeline.",
  },
];
