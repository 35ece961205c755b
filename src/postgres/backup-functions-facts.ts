import { EngineError } from "../common/errors.ts";
import { currentTimelineSql } from "./backup-functions.ts";
import { sqlState } from "./connection-error.ts";
import type { SqlConnection } from "./connection.ts";
import { parsePostgresMajor, type PostgresMajor } from "./majors.ts";
import { parseSystemIdentifier, type SystemIdentifier } from "./system-identifier.ts";
import { timelineId, type TimelineId } from "./timeline.ts";

export interface Tablespace {
  readonly oid: number;
  readonly name: string;
  /** Where its link leads, absolute. A path relative to the data directory for an in-place one (`pg_tblspc/16384`). */
  readonly location: string;
}

/** What a backup has to know of its server (spec: `backup.info`), read in one go. */
export interface ServerFacts {
  /** `server_version_num`: 150018. */
  readonly versionNumber: number;
  readonly major: PostgresMajor;
  readonly dataDirectory: string;
  readonly configFile: string;
  readonly hbaFile: string;
  readonly identFile: string;
  /** Configuration files in use other than `configFile`, sorted. */
  readonly includedFiles: readonly string[];
  /** All but the two built-in ones, by OID. */
  readonly tablespaces: readonly Tablespace[];
  readonly systemIdentifier: SystemIdentifier;
  readonly walSegmentSizeBytes: number;
  readonly blockSizeBytes: number;
  readonly inRecovery: boolean;
  readonly currentTimeline: TimelineId;
  readonly dataChecksums: boolean;
  readonly fullPageWrites: boolean;
  readonly archiveMode: "off" | "on" | "always";
  readonly archiveCommand: string;
  /** Undefined before 15, which has no such parameter. */
  readonly archiveLibrary: string | undefined;
}

interface FactsRow {
  readonly version: number;
  readonly data_directory: string;
  readonly config_file: string;
  readonly hba_file: string;
  readonly ident_file: string;
  readonly included_files: readonly string[];
  readonly tablespaces: readonly { readonly oid: number; readonly name: string; readonly location: string }[];
  readonly system_identifier: string;
  readonly wal_segment_size: number;
  readonly block_size: number;
  readonly in_recovery: boolean;
  readonly timeline: number;
  readonly data_checksums: boolean;
  readonly full_page_writes: boolean;
  readonly archive_mode: ServerFacts["archiveMode"];
  readonly archive_command: string;
  readonly archive_library: string | null;
}

// pg_settings shows sizes in the parameter's own unit (bytes for these two), current_setting() would say "16MB".
const factsSql = `SELECT
  current_setting('server_version_num')::int AS version,
  current_setting('data_directory') AS data_directory,
  current_setting('config_file') AS config_file,
  current_setting('hba_file') AS hba_file,
  current_setting('ident_file') AS ident_file,
  COALESCE((SELECT json_agg(DISTINCT sourcefile) FROM pg_settings
     WHERE sourcefile IS NOT NULL AND sourcefile <> current_setting('config_file')), '[]') AS included_files,
  COALESCE((SELECT json_agg(json_build_object('oid', oid::bigint, 'name', spcname,
       'location', pg_tablespace_location(oid)) ORDER BY oid)
     FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''), '[]') AS tablespaces,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
  (SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size') AS wal_segment_size,
  (SELECT setting::int FROM pg_settings WHERE name = 'block_size') AS block_size,
  pg_is_in_recovery() AS in_recovery,
  ${currentTimelineSql} AS timeline,
  current_setting('data_checksums')::bool AS data_checksums,
  current_setting('full_page_writes')::bool AS full_page_writes,
  current_setting('archive_mode') AS archive_mode,
  current_setting('archive_command') AS archive_command,
  current_setting('archive_library', true) AS archive_library`;

/**
 * @throws EngineError `postgres-settings` when the role may not see them, `postgres-missing` for a major version that is
 * not supported, `postgres-failed`.
 */
export async function readServerFacts(connection: SqlConnection): Promise<ServerFacts> {
  const [row] = await rowsOrRefusal(connection);
  if (row === undefined) throw new EngineError("postgres-failed", "the server's facts came back empty");
  return {
    versionNumber: row.version,
    major: parsePostgresMajor(String(Math.floor(row.version / 10_000))),
    dataDirectory: row.data_directory,
    configFile: row.config_file,
    hbaFile: row.hba_file,
    identFile: row.ident_file,
    includedFiles: [...row.included_files].sort(),
    tablespaces: row.tablespaces,
    systemIdentifier: parseSystemIdentifier(row.system_identifier),
    walSegmentSizeBytes: row.wal_segment_size,
    blockSizeBytes: row.block_size,
    inRecovery: row.in_recovery,
    currentTimeline: timelineId(row.timeline),
    dataChecksums: row.data_checksums,
    fullPageWrites: row.full_page_writes,
    archiveMode: row.archive_mode,
    archiveCommand: row.archive_command,
    archiveLibrary: row.archive_library ?? undefined,
  };
}

async function rowsOrRefusal(connection: SqlConnection): Promise<FactsRow[]> {
  try {
    return await connection.query<FactsRow>(factsSql);
  } catch (error) {
    if (!(error instanceof EngineError) || sqlState(error) !== "42501") throw error;
    throw new EngineError("postgres-settings", error.message, {
      cause: error,
      details: error.details,
      hint: `Use a superuser, or grant the role what a backup needs: GRANT pg_monitor TO "${connection.target.user}".`,
    });
  }
}
