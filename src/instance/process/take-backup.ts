import type { BackupResult } from "../../backup/backup-result.ts";
import { createBackup } from "../../backup/create-backup.ts";
import type { BackupProgress } from "../../backup/progress.ts";
import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import { connect, type ConnectOptions, type SqlConnection } from "../../postgres/connection.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import { openEachRepository } from "../../repository/open-each-repository.ts";
import { closeRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { formsOf } from "../../repository/stored-form.ts";
import type { ArchiveSpec } from "../archive-spec.ts";

export interface TakeBackupOptions {
  readonly archive: ArchiveSpec;
  /** The agent's. */
  readonly spoolDirectory: string;
  /** The server whose files are here. */
  readonly server: ConnectOptions;
  /** Its primary, where it may be a standby. */
  readonly primary: ConnectOptions | undefined;
  readonly name: string | undefined;
  readonly onId: (id: BackupId) => void;
  readonly onProgress: (progress: BackupProgress) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const applicationName = "tidemark backup";

/**
 * Takes one base backup of a server into all repositories of its archive, with sessions and stores of its own. Throws what
 * `connect`, `openEachRepository` and `createBackup` throw.
 */
export async function takeBackup(options: TakeBackupOptions): Promise<BackupResult> {
  const { archive, spoolDirectory, server, name, onId, onProgress, clock, log, signal } = options;
  await using connection = await connect({ ...server, applicationName, signal });
  await using primary = await connectPrimary(connection, options.primary, signal);
  const repositories = await openEachRepository({
    settings: archive.repositories,
    server: parseServerName(archive.server),
    log,
    access: { kind: "write", spoolDirectory },
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
        forms: formsOf(archive.repositories, "base", { codec: archive.backupCompression }),
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
  primary: ConnectOptions | undefined,
  signal: AbortSignal,
): Promise<SqlConnection | undefined> {
  if (primary === undefined) return undefined;
  const [row] = await connection.query<{ yes: boolean }>("SELECT pg_is_in_recovery() AS yes");
  return row?.yes === true ? connect({ ...primary, applicationName, signal }) : undefined;
}
