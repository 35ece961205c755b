import { z } from "zod";
import type { ErrorCode } from "../../common/error-codes.ts";
import { describeError, EngineError, systemErrorCode } from "../../common/errors.ts";

const damagedHint =
  "Put back a copy of the database, or move it away and apply the manifests again: the instances go on meanwhile.";
const damaged = { code: "config", hint: damagedHint } as const;
const forbidden = { code: "file-io", hint: "May this user write to the file and its folder?" } as const;
const locked = {
  code: "locked",
  hint: "Is a control plane running already? Stop it first, or give this one a folder of its own.",
} as const;

/** What SQLite's primary result codes (https://www.sqlite.org/rescode.html) mean to us; any other is a bug of ours. */
const meanings: Readonly<Record<number, { readonly code: ErrorCode; readonly hint: string }>> = {
  // SQLITE_ERROR: our statements are right, so the tables are not what they were.
  1: damaged,
  // SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN.
  3: forbidden,
  8: forbidden,
  14: forbidden,
  // SQLITE_BUSY, SQLITE_LOCKED.
  5: locked,
  6: locked,
  // SQLITE_IOERR.
  10: { code: "file-io", hint: "Look at the disk, and at its messages in the system's log." },
  // SQLITE_CORRUPT, SQLITE_NOTADB.
  11: damaged,
  26: damaged,
  // SQLITE_FULL.
  13: { code: "disk-full", hint: "Free some space on this file system, then run the same command again." },
};

/**
 * Turns what `node:sqlite` threw while doing something (`open`, `write to`), and what a schema says of a row, into an
 * EngineError that names the database; everything else passes unchanged.
 */
export function databaseError(action: string, path: string, cause: unknown): unknown {
  // A RangeError: a number or a time that is larger than any that was written.
  if (cause instanceof z.ZodError || cause instanceof RangeError) {
    return damagedDatabase(path, "a row does not have its form");
  }
  if (systemErrorCode(cause) !== "ERR_SQLITE_ERROR") return cause;
  const { code, hint } = meanings[primaryCodeOf(cause)] ?? { code: "internal", hint: undefined };
  return new EngineError(code, `could not ${action} the database "${path}": ${describeError(cause)}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The database holds what we cannot have written. */
export function damagedDatabase(path: string, what: string): EngineError {
  return new EngineError("config", `the database "${path}" is damaged: ${what}`, { hint: damagedHint });
}

/** Extended codes have their kind in the low byte. */
function primaryCodeOf(error: unknown): number {
  return typeof error === "object" && error !== null && "errcode" in error
    ? Number(error.errcode) & 0xff
    : -1;
}
