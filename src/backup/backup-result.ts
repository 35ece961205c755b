import { assert, EngineError } from "../common/errors.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import type { Destinations } from "./destinations.ts";

/** A repository that has the backup. */
export interface BackupCopy {
  /** The repository's name. */
  readonly repository: string;
  readonly form: StoredForm;
  readonly storedBytes: number;
}

/** A repository that does not have it. */
export interface MissingCopy {
  readonly repository: string;
  readonly error: EngineError;
}

/** A backup that is in as many repositories as it must be. */
export interface BackupResult {
  readonly id: BackupId;
  readonly info: FinishedBackupInfo;
  /**
   * As the first repository that has the backup has it; those of others differ in form. With `damagedPages`: the backup is
   * complete, but someone must look (error code `backup-damaged-pages`).
   */
  readonly manifest: BackupManifest;
  /** In that repository. */
  readonly storedBytes: number;
  /** In the order of the repositories; at least one. */
  readonly copies: readonly BackupCopy[];
  /** With any, the backup is complete elsewhere (error code `backup-partial`). */
  readonly missing: readonly MissingCopy[];
  readonly durationMs: number;
}

/** Says where a backup is and where it is not, when enough repositories have it. */
export function backupResult(
  destinations: Destinations,
  given: Pick<BackupResult, "id" | "info" | "durationMs"> & {
    readonly manifestOf: (form: StoredForm) => BackupManifest;
  },
): BackupResult {
  const { id, info, durationMs, manifestOf } = given;
  const copies = destinations.all
    .filter(({ isVisible }) => isVisible)
    .map(({ repository, form }) => ({
      repository: repository.name,
      form,
      storedBytes: storedBytes(manifestOf(form)),
    }));
  const [first] = copies;
  assert(first !== undefined, "a backup that succeeded is somewhere");
  const missing = destinations.all
    .filter(({ isVisible }) => !isVisible)
    .map(({ repository, reason }) => ({
      repository: repository.name,
      error: reason ?? new EngineError("aborted", "the backup was stopped before it was complete there"),
    }));
  return {
    id,
    info,
    manifest: manifestOf(first.form),
    storedBytes: first.storedBytes,
    copies,
    missing,
    durationMs,
  };
}

function storedBytes({ parts }: BackupManifest): number {
  return parts.reduce((sum, part) => sum + part.storedBytes, 0);
}
