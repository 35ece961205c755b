import { EngineError } from "../common/errors.ts";
import type { SqlConnection } from "../postgres/connection.ts";

/**
 * One backup at a time per server, held as an advisory lock in the backup's own session: the server drops it when
 * that session ends, however it ends. Standbys allow it too, but each server has its own.
 */

/** "tide" in ASCII, and what it locks. Advisory locks are per database, so both backups must use the same one. */
const lockKey = [0x7469_6465, 1] as const;

/** @throws EngineError `locked` when another session of this server holds it. */
export async function lockServerForBackup(connection: SqlConnection): Promise<void> {
  const [row] = await connection.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS locked", [
    ...lockKey,
  ]);
  if (row?.locked === true) return;
  throw new EngineError("locked", "another base backup of this server is running", {
    hint: "Wait until it is finished; pg_stat_activity shows its session (application_name).",
  });
}

/** Best effort: the end of the session does it as well. */
export async function unlockServer(connection: SqlConnection): Promise<void> {
  await connection.query("SELECT pg_advisory_unlock($1, $2)", [...lockKey]).catch(() => undefined);
}
