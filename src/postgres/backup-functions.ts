import { EngineError } from "../common/errors.ts";
import { sqlState } from "./connection-error.ts";
import type { SqlConnection } from "./connection.ts";
import { parseLsn, type Lsn } from "./lsn.ts";
import { majorFacts, type PostgresMajor } from "./majors.ts";
import { timelineId, type TimelineId } from "./timeline.ts";

/**
 * The SQL side of a base backup: non-exclusive, bound to one session from start to stop. If that session ends first,
 * the server gives the backup up by itself.
 */

export interface StartedBackup {
  /** The redo position: replay of this backup begins here. */
  readonly startLsn: Lsn;
  readonly timeline: TimelineId;
  /** Server clock before the checkpoint; canonical form, `2026-01-15 14:30:00.123456+00:00`. */
  readonly beginTime: string;
}

export interface StoppedBackup {
  /** The backup is consistent once replay has reached this position. */
  readonly stopLsn: Lsn;
  readonly timeline: TimelineId;
  /** Server clock after the stop record was written; canonical form. */
  readonly endTime: string;
  /** Content of `backup_label`, to be stored unchanged. */
  readonly backupLabel: string;
  /** Content of `tablespace_map`; empty when there are no tablespaces. */
  readonly tablespaceMap: string;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A timestamp as canonical text; the driver's Date would lose the microseconds. */
const canonical = (expression: string) =>
  `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'`;

/**
 * The timeline of a running server. On a primary, pg_control lags behind a promotion until the next checkpoint, so the
 * name of the WAL file being written is asked; on a standby that function is not allowed, and the timeline is that of the
 * end of recovery, as Barman has it.
 */
export const currentTimelineSql = `CASE WHEN pg_is_in_recovery()
  THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery())
  ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END`;

/**
 * Starts a backup. With `fast` the server makes its checkpoint at once, otherwise spread over up to
 * `checkpoint_completion_target` of `checkpoint_timeout`, and the call lasts as long. An abort cancels it.
 *
 * @throws EngineError `postgres-failed`; `postgres-settings` when the role may not take backups or `wal_level` is too low.
 */
export async function startBackup(
  connection: SqlConnection,
  options: CallOptions & { readonly major: PostgresMajor; readonly label: string; readonly fast: boolean },
): Promise<StartedBackup> {
  const { major, label, fast, signal } = options;
  // The session is idle while files are copied; a server that ends idle sessions would end the backup.
  if (major >= 14) await connection.query("SET idle_session_timeout = 0");
  await connection.query("SET statement_timeout = 0; SET lock_timeout = 0");
  const { backupStartFunction } = majorFacts[major];
  const args = major >= 15 ? "$1, $2" : "$1, $2, false";
  // now() is the start of the transaction, so it lies before the checkpoint. On a standby the backup starts at the
  // last restart point, whose timeline pg_control has; on a primary the checkpoint just made has put it there.
  const rows = await translated(() =>
    connection.query<{ lsn: string; timeline: number; time: string }>(
      `SELECT lsn::text, ${canonical("now()")} AS time,
              (SELECT timeline_id FROM pg_control_checkpoint() WHERE lsn IS NOT NULL) AS timeline
         FROM ${backupStartFunction}(${args}) AS lsn`,
      [label, fast],
      { signal },
    ),
  );
  const row = onlyRow(rows, backupStartFunction);
  return { startLsn: parseLsn(row.lsn), timeline: timelineId(row.timeline), beginTime: row.time };
}

/**
 * Stops the backup that `startBackup` began in this session.
 *
 * The server is told not to wait until WAL is archived: it only knows that some `archive_command` said yes, waits
 * forever where none does, and on a standby does not wait at all. Whether the last needed segment is in *our* archive
 * only we can tell, so the caller waits for it there. For the same reason `endTime` is read after the stop: a target
 * time between the two readings would come before the backup is consistent.
 */
export async function stopBackup(
  connection: SqlConnection,
  options: CallOptions & { readonly major: PostgresMajor },
): Promise<StoppedBackup> {
  const { major, signal } = options;
  const { backupStopFunction } = majorFacts[major];
  const args = major >= 15 ? "false" : "false, false";
  const rows = await translated(() =>
    connection.query<{ lsn: string; label: string; map: string | null; timeline: number; time: string }>(
      `SELECT lsn::text, labelfile AS label, spcmapfile AS map,
              ${canonical("clock_timestamp()")} AS time, ${currentTimelineSql} AS timeline
         FROM ${backupStopFunction}(${args})`,
      [],
      { signal },
    ),
  );
  const row = onlyRow(rows, backupStopFunction);
  return {
    stopLsn: parseLsn(row.lsn),
    timeline: timelineId(row.timeline),
    endTime: row.time,
    backupLabel: row.label,
    tablespaceMap: row.map ?? "",
  };
}

/** Completes the current WAL segment on a primary, so that it gets archived; returns where it ended. */
export async function switchWal(connection: SqlConnection): Promise<Lsn> {
  return lsnOf(connection, "SELECT pg_switch_wal()::text AS lsn");
}

/** Writes a named restore point into WAL on a primary: a target for `recovery_target_name`. At most 63 bytes. */
export async function createRestorePoint(connection: SqlConnection, name: string): Promise<Lsn> {
  return lsnOf(connection, "SELECT pg_create_restore_point($1)::text AS lsn", [name]);
}

/** Where WAL is being written on a primary; how far it was replayed on a standby. */
export async function currentWalLsn(connection: SqlConnection): Promise<Lsn> {
  return lsnOf(
    connection,
    `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`,
  );
}

async function lsnOf(connection: SqlConnection, sql: string, params: readonly string[] = []): Promise<Lsn> {
  const rows = await translated(() => connection.query<{ lsn: string }>(sql, params));
  return parseLsn(onlyRow(rows, sql).lsn);
}

function onlyRow<Row>(rows: readonly Row[], what: string): Row {
  const [row] = rows;
  if (row === undefined) throw new EngineError("postgres-failed", `"${what}" returned no row`);
  return row;
}

/** Gives the two refusals that settings cause their own code and advice. */
async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const hint = settingsHint(sqlState(error));
    if (hint === undefined || !(error instanceof EngineError)) throw error;
    throw new EngineError("postgres-settings", error.message, { cause: error, hint, details: error.details });
  }
}

function settingsHint(state: string | undefined): string | undefined {
  switch (state) {
    case "42501":
      return "Use a superuser, or a role with pg_monitor and EXECUTE on the backup functions, pg_switch_wal() and pg_create_restore_point(text).";
    case "55000":
      return "The server's state or settings do not allow this; wal_level must be replica or logical, and a standby cannot write WAL.";
    case undefined:
    default:
      return undefined;
  }
}
