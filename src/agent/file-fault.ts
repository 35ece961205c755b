import type { EngineError } from "../common/errors.ts";

/** Faults of the file or its archive, not of the moment: PostgreSQL asks again sooner than trying again helps. */
const codes: ReadonlySet<string> = new Set(["wal-refused", "wal-conflict", "postgres-format"]);

/** Whether something is wrong with the WAL file itself, whatever the repository. */
export function isFileFault(error: EngineError): boolean {
  return codes.has(error.code);
}

const refusedRetryMs = 60_000;
const firstRetryMs = 1000;
const longestRetryMs = 30_000;

/** How long a file rests that could not be archived for the `failures`th time (from 0). */
export function retryAfterMs(error: EngineError, failures: number): number {
  if (isFileFault(error)) return refusedRetryMs;
  // A repository in trouble has its own pause, shared by all files.
  if (error.code.startsWith("store-") || error.code === "wal-timeout") return 0;
  return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
}
