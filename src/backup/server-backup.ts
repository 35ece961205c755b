import type { Clock } from "../common/clock.ts";
import { describeError, EngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import {
  createRestorePoint,
  startBackup,
  stopBackup,
  switchWal,
  type StartedBackup,
  type StoppedBackup,
} from "../postgres/backup-functions.ts";
import type { ServerFacts } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { awaitRestartPoint } from "./standby-restart-point.ts";

export interface ServerBackupOptions {
  readonly connection: SqlConnection;
  readonly primaryConnection?: SqlConnection;
  readonly facts: ServerFacts;
  readonly id: BackupId;
  readonly clock: Clock;
  readonly log: Log;
}

/** What PostgreSQL itself must be told of a backup. */
export class ServerBackup {
  readonly #with: ServerBackupOptions;
  /** Between start and stop the server must be told if we give up. */
  #isStarted = false;

  constructor(options: ServerBackupOptions) {
    this.#with = options;
  }

  async start(options: { readonly fast: boolean; readonly signal: AbortSignal }): Promise<StartedBackup> {
    const { connection, primaryConnection, facts, id, clock, log } = this.#with;
    const { signal } = options;
    if (facts.inRecovery && primaryConnection !== undefined) {
      await awaitRestartPoint(connection, primaryConnection, { clock, log, signal });
    }
    this.#isStarted = true;
    return startBackup(connection, { major: facts.major, label: `Tidemark base backup ${id}`, ...options });
  }

  /** Throws `backup-failed` when the timeline has changed since. */
  async stop({ timeline }: StartedBackup, signal: AbortSignal): Promise<StoppedBackup> {
    const { connection, facts } = this.#with;
    let stopped: StoppedBackup;
    try {
      stopped = await stopBackup(connection, { major: facts.major, signal });
    } catch (error) {
      throw (await this.#wasPromoted(signal)) ? promoted(error) : error;
    }
    this.#isStarted = false;
    faultPoint("backup:after-stop");
    if (stopped.timeline !== timeline) {
      throw new EngineError(
        "backup-failed",
        `the server went from timeline ${timeline} to ${stopped.timeline} during the backup`,
        {
          retryable: true,
          hint: "Its primary was promoted meanwhile. Run CHECKPOINT on the new primary, wait until the standby has replayed it, and start again.",
        },
      );
    }
    return stopped;
  }

  async #wasPromoted(signal: AbortSignal): Promise<boolean> {
    const { connection, facts } = this.#with;
    if (!facts.inRecovery || signal.aborted) return false;
    const rows = await connection
      .query<{ recovery: boolean }>("SELECT pg_is_in_recovery() AS recovery")
      .catch(() => []);
    return rows[0]?.recovery === false;
  }

  /**
   * On a primary the stop call has completed the segment; a standby cannot write, so its primary must. The restore point
   * is Barman's custom: a name to recover to, just behind the backup.
   */
  async completeLastSegment(): Promise<void> {
    const { connection, primaryConnection, facts, id, log } = this.#with;
    const primary = facts.inRecovery ? primaryConnection : connection;
    if (primary === undefined) {
      log.info("a standby cannot complete its last WAL segment; waiting until its primary does");
      return;
    }
    try {
      await createRestorePoint(primary, `barman_${id}`);
    } catch (error) {
      log.warn("could not write the restore point behind the backup", { error: describeError(error) });
    }
    if (facts.inRecovery) await switchWal(primary);
  }

  /** Never throws. */
  async giveUp(signal: AbortSignal): Promise<void> {
    const { connection, facts } = this.#with;
    // A start that failed leaves nothing to stop, and the server then says so.
    if (this.#isStarted) await stopBackup(connection, { major: facts.major, signal }).catch(() => undefined);
  }
}

function promoted(cause: unknown): EngineError {
  return new EngineError("backup-failed", "the standby was promoted during the backup", {
    cause,
    retryable: true,
    hint: "PostgreSQL gives such a backup up. Start another one; it may use the same server.",
  });
}
