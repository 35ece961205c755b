import type { SqlConnection } from "../../postgres/connection.ts";
import type { Settings } from "../../postgres/settings-file.ts";
import type { InstanceStatus } from "../instance-status.ts";

/** What the status says of a server, but for its process. */
export type ServerFacts = Omit<NonNullable<InstanceStatus["postgres"]>, "pid" | "dataBytes" | "walBytes">;

interface FactsRow {
  readonly version: string;
  readonly in_recovery: boolean;
  readonly system_identifier: string;
  readonly timeline: number;
  readonly checkpoint_timeline: number;
  readonly lsn: string;
  readonly received_lsn: string | null;
  readonly started_at: Date;
  readonly pending_restart: boolean;
  readonly replication: ServerFacts["replication"];
  readonly settings: Readonly<Record<string, readonly [setting: string, shown: string]>>;
}

/*
 * One statement, so that what it says belongs together. On a standby the timeline is the highest that anything has seen: what
 * is received is ahead of what pg_control was last told. Functions of a primary would fail in recovery, so each stands in a CASE.
 */
const factsSql = `
WITH here AS MATERIALIZED (
  SELECT pg_is_in_recovery() AS in_recovery,
         CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_lsn() END AS lsn
)
SELECT current_setting('server_version') AS version,
       in_recovery,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       CASE WHEN in_recovery
         THEN (SELECT greatest(recovery.min_recovery_end_timeline, checkpoint.timeline_id,
                               (SELECT max(received_tli) FROM pg_stat_wal_receiver))
                 FROM pg_control_recovery() recovery, pg_control_checkpoint() checkpoint)
         ELSE ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int END AS timeline,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS checkpoint_timeline,
       lsn::text AS lsn,
       CASE WHEN in_recovery THEN greatest(lsn, pg_last_wal_receive_lsn())::text END AS received_lsn,
       pg_postmaster_start_time() AS started_at,
       EXISTS (SELECT FROM pg_settings WHERE pending_restart) AS pending_restart,
       coalesce(CASE WHEN in_recovery
         THEN (SELECT json_agg(json_build_object('name', 'primary', 'state', status,
                      'lagBytes', greatest(0, coalesce(latest_end_lsn - lsn, 0)))) FROM pg_stat_wal_receiver)
         ELSE (SELECT json_agg(json_build_object('name', application_name, 'state', state,
                      'lagBytes', greatest(0, coalesce(lsn - replay_lsn, 0))) ORDER BY application_name)
                 FROM pg_stat_replication) END, '[]') AS replication,
       coalesce((SELECT json_object_agg(name, json_build_array(setting, current_setting(name)))
                   FROM pg_settings WHERE name = ANY (string_to_array($1, ','))), '{}') AS settings
  FROM here`;

/**
 * Asks a server about itself, as superuser. `commandLine` is what it would be started with now: a server that runs with
 * something else there needs a restart, which PostgreSQL cannot know. Throws `postgres-failed`.
 */
export async function readFacts(
  connection: SqlConnection,
  commandLine: Settings,
  signal?: AbortSignal,
): Promise<ServerFacts | undefined> {
  const names = Object.keys(commandLine).join(",");
  const [row] = await connection.query<FactsRow>(factsSql, [names], { signal });
  if (row === undefined) return undefined;
  return {
    version: row.version,
    role: row.in_recovery ? "standby" : "primary",
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    checkpointTimeline: row.checkpoint_timeline,
    lsn: row.lsn,
    ...(row.received_lsn === null ? {} : { receivedLsn: row.received_lsn }),
    startedAt: row.started_at.toISOString(),
    pendingRestart: row.pending_restart || differs(row.settings, commandLine),
    replication: row.replication,
  };
}

/** Exported for tests: whether a server's settings are others than wanted; it shows them plain and with their units. */
export function differs(shown: FactsRow["settings"], wanted: Settings): boolean {
  return Object.entries(wanted).some(([name, value]) => {
    const present = shown[name];
    // One that this server does not know at all would keep it from starting: that is for the start to say.
    return present !== undefined && !present.includes(value);
  });
}

/** Bytes of all databases, and of `pg_wal`, which costs a look at every file. Throws `postgres-failed`. */
export async function readSizes(
  connection: SqlConnection,
  signal?: AbortSignal,
): Promise<{ readonly dataBytes: number; readonly walBytes: number } | undefined> {
  const [row] = await connection.query<{ data: string; wal: string | null }>(
    `SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database)::text AS data,
            (SELECT sum(size) FROM pg_ls_waldir())::text AS wal`,
    [],
    { signal },
  );
  return row === undefined ? undefined : { dataBytes: Number(row.data), walBytes: Number(row.wal ?? 0) };
}
