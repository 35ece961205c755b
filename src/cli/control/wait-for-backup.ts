import { EngineError } from "../../common/errors.ts";
import { backupPhases } from "../../control/backups/backup-status.ts";
import type { ControlClient } from "../control-client.ts";
import { createProgressReporter } from "../progress.ts";
import type { ShownBackup } from "./backup-facts.ts";
import { waitingFailed, watchObject } from "./watch-object.ts";

/** How a base backup is, whatever says so. */
type WatchedBackup = Pick<ShownBackup, "progress" | "error"> & { readonly phase: string };

export interface BackupWait<Backup> {
  readonly client: ControlClient;
  /** Where the object is listed that says how the backup is, and the object's name. */
  readonly path: string;
  readonly name: string;
  /** The backup in what the object says now; undefined while it does not say anything of it. */
  readonly read: (object: unknown) => Backup | undefined;
  readonly statusOf: (backup: Backup) => WatchedBackup;
  /** `Backup "daily"`. */
  readonly what: string;
  /** The command that shows it, and what can be done with it by whoever stops waiting. */
  readonly look: string;
  readonly afterwards: string;
}

/** Waits for the end of a base backup, showing how far it is. Throws `aborted`, `control-unreachable`, `backup-failed` when it is gone. */
export async function waitForBackup<Backup>(wait: BackupWait<Backup>, signal: AbortSignal): Promise<Backup> {
  const { client, path, name, read, statusOf, what, look, afterwards } = wait;
  const reporter = createProgressReporter(process.stderr);
  const startedMs = performance.now();
  let said: string | undefined;
  try {
    for await (const object of watchObject(client, path, name, signal)) {
      const backup = read(object);
      if (backup === undefined) continue;
      const { phase, progress, error } = statusOf(backup);
      if (phase === backupPhases.completed || phase === backupPhases.failed) return backup;
      if (error !== undefined && error !== said) {
        reporter.finish();
        process.stderr.write(`it waits: ${error}\n`);
      }
      said = error;
      reporter.update({
        label: progress?.phase ?? (phase === "" ? backupPhases.pending : phase),
        bytesDone: progress?.doneBytes ?? 0,
        bytesTotal: progress?.totalBytes,
        elapsedMs: performance.now() - startedMs,
      });
    }
  } catch (error) {
    if (!signal.aborted) throw waitingFailed(error, what, look);
  } finally {
    reporter.finish();
  }
  if (signal.aborted) {
    throw new EngineError("aborted", `waiting for ${what} was stopped; the backup itself goes on`, {
      hint: `${look} shows it; ${afterwards}`,
    });
  }
  throw new EngineError("backup-failed", `${what} was deleted while it was waited for`);
}
