import { EngineError } from "../common/errors.ts";
import type { SqlConnection } from "../postgres/connection.ts";

/**
 * One backup at a time per server, held as an advisory lock in the backup's own session: the server drops it when
 * that session ends, however it ends. Standbys allow it too, but each server has its own.
 */

/** "tide" in ASCII, and what it locks. */
const lockKey = [0x7469_6465, 1] as const;

/**
 * Whoever holds this lock takes unfinished backups of the server for dead and removes them, so it must exclude those that
 * are connected to another database too. PostgreSQL keeps advisory locks by database, but shows all of them: each first
 * takes its own, then looks for others. Two that begin in the same moment may both be refused; never are both let in.
 *
 * @throws EngineError `locked` when another session of this server holds it.
 */
export async function lockServerForBackup(connection: SqlConnection): Promise<void> {
  const [row] = await connection.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS locked", [
    ...lockKey,
  ]);
  if (row?.locked === true) {
    // Two keys of four bytes each have the objsubid 2.
    const others = await connection.query(
      `SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = $1 AND objid::bigint = $2
          AND granted AND pid <> pg_backend_pid()`,
      [...lockKey],
    );
    if (others.length === 0) return;
    await unlockServer(connection);
  }
  throw new EngineError("locked", "another base backup of this server is running", {
    hint: "Wait until it is finished; pg_stat_activity shows its session (application_name).",
  });
}

/** Best effort: the end of the session does it as well. */
export async function unlockServer(connection: SqlConnection): Promise<void> {
  await connection.query("SELECT pg_advisory_unlock($1, $2)", [...lockKey]).catch(() => undefined);
}
