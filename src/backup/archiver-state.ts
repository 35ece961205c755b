import { EngineError } from "../common/errors.ts";
import type { ServerFacts } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";

/**
 * A backup is worth nothing without the WAL written meanwhile, so a primary that does not archive is refused before
 * hours are spent. A standby need not archive: its primary does.
 *
 * @throws EngineError `postgres-settings`.
 */
export function requireArchiving(facts: ServerFacts): void {
  if (facts.inRecovery) return;
  if (facts.archiveMode === "off") {
    throw new EngineError("postgres-settings", "the server does not archive WAL: archive_mode is off", {
      hint: "Set archive_mode = on and archive_command, then restart the server.",
    });
  }
  const library = facts.archiveLibrary ?? "";
  if (facts.archiveCommand === "" && library === "") {
    throw new EngineError("postgres-settings", "the server does not archive WAL: archive_command is empty", {
      hint: 'Set archive_command to what "tidemark agent" prints, then reload the server\'s configuration.',
    });
  }
}

/** What the server's archiver has last said, as advice; undefined when all seems well. */
export async function describeArchiver(connection: SqlConnection): Promise<string | undefined> {
  const [row] = await connection.query<{ wal: string | null; at: string | null; failing: boolean }>(
    `SELECT last_failed_wal AS wal, last_failed_time::text AS at,
            coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
       FROM pg_stat_archiver`,
  );
  if (row?.failing !== true) return undefined;
  return `Archiving fails: archive_command last failed for ${row.wal} at ${row.at}. The server's log has its output.`;
}
