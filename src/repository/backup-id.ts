import { EngineError } from "../common/errors.ts";

declare const brand: unique symbol;

/**
 * Names one base backup below one server name: its start time as `YYYYMMDDTHHMMSS`, in UTC, as Barman names it. The
 * text carries no zone and hosts disagree, so it is a name and nothing is ever computed from it.
 */
export type BackupId = string & { readonly [brand]: "BackupId" };

const pattern = /^\d{8}T\d{6}$/;

export function isBackupId(text: string): text is BackupId {
  return pattern.test(text);
}

/** Throws `usage` when the text is not a backup ID. */
export function parseBackupId(text: string): BackupId {
  if (isBackupId(text)) return text;
  throw new EngineError("usage", `"${text}" is not a backup ID`, {
    hint: 'A backup ID looks like 20261121T090727; "tidemark base list" shows them.',
  });
}

export function backupIdAt(time: Date): BackupId {
  const digits = time.toISOString().replaceAll(/[-:]/g, "").slice(0, 15);
  return parseBackupId(digits);
}
