import { errorCodes } from "../common/error-codes.ts";
import { EngineError } from "../common/errors.ts";

/** Which table an exit status is taken from. */
export type ExitTable =
  | "general"
  /** For `restore_command`: absent is 1; everything else must stop PostgreSQL, so it lies above 125. */
  | "restore-command";

/**
 * PostgreSQL takes 1–125 as "not available", which can end recovery and promote, and stops hard above 125
 * (RestoreArchivedFile in xlogarchive.c). Not 126 or 127, which are the shell's own, nor 143, which stands for SIGTERM and
 * is taken as an ordinary shutdown.
 */
const couldNotTell = 150;
const absent = 1;

export function exitStatusFor(error: unknown, table: ExitTable = "general"): number {
  if (table === "restore-command")
    return error instanceof EngineError && error.code === "wal-absent" ? absent : couldNotTell;
  return error instanceof EngineError ? error.exitStatus : errorCodes.internal.exit;
}
