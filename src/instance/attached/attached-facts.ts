import type { ServerFacts } from "../../postgres/backup-functions-facts.ts";
import { currentTimelineSql } from "../../postgres/backup-functions.ts";
import type { SqlConnection } from "../../postgres/connection.ts";
import type { AttachedPostgres } from "./attached-status.ts";

interface FactsRow {
  readonly version: string;
  readonly in_recovery: boolean;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly started_at: Date;
  readonly archive_mode: ServerFacts["archiveMode"];
  readonly archive_command: string;
  readonly archive_library: string | null;
  readonly last_archived_wal: string | null;
  readonly last_archived_time: Date | null;
  readonly last_failed_wal: string | null;
  readonly last_failed_time: Date | null;
}

const factsSql = `
SELECT current_setting('server_version') AS version,
       pg_is_in_recovery() AS in_recovery,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       ${currentTimelineSql} AS timeline,
       pg_postmaster_start_time() AS started_at,
       current_setting('archive_mode') AS archive_mode,
       current_setting('archive_command') AS archive_command,
       current_setting('archive_library', true) AS archive_library,
       last_archived_wal, last_archived_time, last_failed_wal, last_failed_time
  FROM pg_stat_archiver`;

/** Asks a server that is not ours about itself. `script` is the waiting script of our spool. Throws `postgres-failed`. */
export async function readAttachedFacts(
  session: SqlConnection,
  script: string | undefined,
  signal: AbortSignal,
): Promise<AttachedPostgres | undefined> {
  const [row] = await session.query<FactsRow>(factsSql, [], { signal });
  if (row === undefined) return undefined;
  return {
    version: row.version,
    role: row.in_recovery ? "standby" : "primary",
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    startedAt: row.started_at.toISOString(),
    archiveMode: row.archive_mode,
    archivingBy: whoArchives(
      {
        archiveMode: row.archive_mode,
        archiveCommand: row.archive_command,
        archiveLibrary: row.archive_library ?? undefined,
      },
      script,
    ),
    archiver: {
      lastArchived: segmentAt(row.last_archived_wal, row.last_archived_time),
      lastFailed: segmentAt(row.last_failed_wal, row.last_failed_time),
    },
  };
}

/** Whom the settings give WAL to. A library wins over the command; any command that runs our script asks us. */
export function whoArchives(
  settings: Pick<ServerFacts, "archiveMode" | "archiveCommand" | "archiveLibrary">,
  script: string | undefined,
): AttachedPostgres["archivingBy"] {
  const { archiveMode, archiveCommand, archiveLibrary = "" } = settings;
  if (archiveMode === "off") return "nobody";
  if (archiveLibrary !== "") return "library";
  if (archiveCommand === "") return "nobody";
  return script !== undefined && archiveCommand.includes(script) ? "agent" : "command";
}

function segmentAt(name: string | null, at: Date | null): { name: string; at: string } | undefined {
  return name === null || at === null ? undefined : { name, at: at.toISOString() };
}
