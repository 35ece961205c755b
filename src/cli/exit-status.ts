import { absentStatus } from "../agent/archive-script.ts";
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

/** The restore script asks for another number, which only this program uses; anything else in the environment is ignored. */
function absentFor(environment: NodeJS.ProcessEnv): number {
  const { variable, value } = absentStatus;
  return environment[variable] === String(value) ? value : absent;
}

export function exitStatusFor(
  error: unknown,
  table: ExitTable = "general",
  environment: NodeJS.ProcessEnv = process.env,
): number {
  if (table === "restore-command") {
    const isAbsent = error instanceof EngineError && error.code === "wal-absent";
    return isAbsent ? absentFor(environment) : couldNotTell;
  }
  return error instanceof EngineError ? error.exitStatus : errorCodes.internal.exit;
}
