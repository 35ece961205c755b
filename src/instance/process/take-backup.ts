import { createBackup, type BackupResult } from "../../backup/create-backup.ts";
import type { BackupProgress } from "../../backup/progress.ts";
import type { Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { ConnectionTarget } from "../../postgres/connection-error.ts";
import { connect, type SqlConnection } from "../../postgres/connection.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";

export interface TakeBackupOptions {
  readonly folder: InstanceFolder;
  readonly spec: InstanceSpec;
  /** Of the instance's server. */
  readonly server: ConnectionTarget;
  readonly name: string | undefined;
  readonly onId: (id: BackupId) => void;
  readonly onProgress: (progress: BackupProgress) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const applicationName = "tidemark backup";

/**
 * Takes one base backup of an instance's server into all repositories of its archive, with sessions and stores of its own.
 *
 * @throws EngineError `postgres-settings` for an instance that archives nowhere, and what `createBackup` throws.
 */
export async function takeBackup(options: TakeBackupOptions): Promise<BackupResult> {
  const { folder, spec, server, name, onId, onProgress, clock, log, signal } = options;
  const { archive } = spec;
  if (archive === undefined) {
    throw new EngineError(
      "postgres-settings",
      `instance "${spec.name}" archives nowhere, so there is no place for a backup`,
      {
        hint: "Give its cluster a store.",
      },
    );
  }
  await using connection = await connect({ ...server, applicationName, signal });
  await using primary = await connectPrimary(connection, spec, signal);
  const repositories = await openRepositories({
    settings: archive.repositories,
    server: parseServerName(archive.server),
    log,
    access: { kind: "write", spoolDirectory: folder.spool },
    signal,
  });
  try {
    return await createBackup({
      repositories,
      connection,
      ...(primary === undefined ? {} : { primaryConnection: primary }),
      options: {
        ...(name === undefined ? {} : { name }),
        tags: archive.tags,
        codec: archive.backupCompression,
        ...(archive.backupJobs === undefined ? {} : { lanes: archive.backupJobs }),
        fast: archive.fastCheckpoint,
      },
      onId,
      progress: onProgress,
      clock,
      log,
      signal,
    });
  } finally {
    await closeRepositories(repositories);
  }
}

/** A standby needs its primary to complete the last segment; whether it is one, its server says. */
async function connectPrimary(
  connection: SqlConnection,
  { role }: InstanceSpec,
  signal: AbortSignal,
): Promise<SqlConnection | undefined> {
  const [row] = await connection.query<{ yes: boolean }>("SELECT pg_is_in_recovery() AS yes");
  if (row?.yes !== true || role.kind !== "standby") return undefined;
  const { user, database } = connection.target;
  return connect({ host: role.host, port: role.port, user, database, applicationName, signal });
}
