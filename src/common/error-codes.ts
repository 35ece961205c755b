/**
 * Every failure Tidemark reports has one of these codes. The doc comment of a code is its page in
 * `docs/reference/error-codes.md`; codes and exit statuses are never reused.
 *
 * Exit statuses lie in 2–62, except for `wal fetch`, which answers PostgreSQL's `restore_command`: there 1–125 means
 * "not available" and above 125 stops recovery, so `cli/exit-status.ts` maps every code but `wal-absent` to 150.
 */
export interface ErrorCodeFacts {
  /** Process exit status. */
  readonly exit: number;
  /** Whether trying the same thing again later can help. */
  readonly retryable: boolean;
  /** Whose problem it is. */
  readonly owner: "operator" | "environment" | "bug";
}

export const errorCodes = {
  /** A bug in Tidemark: an unexpected exception. Please report it. */
  internal: { exit: 1, retryable: false, owner: "bug" },
  /** A flag, argument or combination of them is not understood. */
  usage: { exit: 2, retryable: false, owner: "operator" },
  /** The configuration file or environment is wrong or incomplete. */
  config: { exit: 3, retryable: false, owner: "operator" },
  /** Stopped by Ctrl-C, SIGTERM or a caller's abort signal. The agent is meant to be stopped so, and ends with 0. */
  aborted: { exit: 4, retryable: true, owner: "operator" },
  /** A local file or directory could not be read or written. */
  "file-io": { exit: 5, retryable: false, owner: "environment" },
  /** The local disk is full. */
  "disk-full": { exit: 6, retryable: true, owner: "environment" },
  /** The object store did not answer, or answered that it cannot just now. */
  "store-unavailable": { exit: 10, retryable: true, owner: "environment" },
  /** The object store refused the credentials or the operation. */
  "store-denied": { exit: 11, retryable: false, owner: "operator" },
  /** The bucket, container or directory of the object store does not exist. */
  "store-missing": { exit: 12, retryable: false, owner: "operator" },
  /** An object exists already and may not be overwritten. */
  "object-exists": { exit: 13, retryable: false, owner: "operator" },
  /** A stored object is damaged: its bytes do not match a checksum, its length or its format. */
  "object-corrupt": { exit: 14, retryable: false, owner: "environment" },
  /** An object that must be there is not. */
  "object-missing": { exit: 15, retryable: false, owner: "environment" },
  /** The object store answers, and does something else than Tidemark must rely on; `tidemark check store` says what. */
  "store-unfit": { exit: 19, retryable: false, owner: "environment" },
  /** PostgreSQL's server programs were not found, or are of the wrong major version. */
  "postgres-missing": { exit: 20, retryable: false, owner: "operator" },
  /** PostgreSQL could not be started, stopped or reached, or an SQL command failed. */
  "postgres-failed": { exit: 21, retryable: true, owner: "environment" },
  /** A file that PostgreSQL wrote (control file, WAL, history, label) does not have its documented form. */
  "postgres-format": { exit: 22, retryable: false, owner: "environment" },
  /** PostgreSQL's settings do not allow what was asked (for example `archive_mode` is off). */
  "postgres-settings": { exit: 23, retryable: false, owner: "operator" },
  /** The WAL file is not in the archive: a plain, certain "no". */
  "wal-absent": { exit: 30, retryable: false, owner: "environment" },
  /** The WAL file does not belong here: other system identifier, name, size or timeline. */
  "wal-refused": { exit: 31, retryable: false, owner: "operator" },
  /** The archive holds another file under this name, with other content. */
  "wal-conflict": { exit: 32, retryable: false, owner: "operator" },
  /** The archive belongs to another PostgreSQL system. */
  "system-mismatch": { exit: 33, retryable: false, owner: "operator" },
  /** The WAL file was not archived within the time allowed. */
  "wal-timeout": { exit: 34, retryable: true, owner: "environment" },
  /** No such backup, or the repository holds none. */
  "backup-absent": { exit: 40, retryable: false, owner: "operator" },
  /** The backup could not be completed. */
  "backup-failed": { exit: 41, retryable: true, owner: "environment" },
  /** The backup is complete, but pages with wrong checksums were found while reading. */
  "backup-damaged-pages": { exit: 42, retryable: false, owner: "environment" },
  /** The backup is protected by a keep mark or is needed. */
  "backup-kept": { exit: 43, retryable: false, owner: "operator" },
  /** The backup is complete and can be restored, but not every repository has it. */
  "backup-partial": { exit: 44, retryable: false, owner: "environment" },
  /** The restore target cannot be reached with what the repository holds. */
  "target-unreachable": { exit: 50, retryable: false, owner: "operator" },
  /** The directory to restore into is not empty, or holds an unfinished restore. */
  "target-directory": { exit: 51, retryable: false, owner: "operator" },
  /** The server ended recovery without reaching the target. */
  "target-missed": { exit: 52, retryable: false, owner: "environment" },
  /** The control plane is not running, or did not answer. */
  "control-unreachable": { exit: 53, retryable: true, owner: "environment" },
  /** A secret could not be had from its provider: a directory, the environment or a command of this machine. */
  "secret-unavailable": { exit: 54, retryable: true, owner: "environment" },
  /** The agent is not running, or did not answer. */
  "agent-unreachable": { exit: 55, retryable: true, owner: "environment" },
  /** Another Tidemark process holds the lock. */
  locked: { exit: 56, retryable: true, owner: "operator" },
  /** The manifests have mistakes with which they must not be applied; `tidemark lint` says which. */
  manifest: { exit: 57, retryable: false, owner: "operator" },
  /** The control plane has no object of this kind and name. */
  "resource-missing": { exit: 58, retryable: false, owner: "operator" },
  /** The control plane has an object of this kind and name already. */
  "resource-exists": { exit: 59, retryable: false, owner: "operator" },
  /** The object was changed, or deleted and made again, since it was read. */
  "resource-conflict": { exit: 60, retryable: true, owner: "operator" },
  /** A server that was a primary and is to be a standby did not shut down cleanly: it may have written what no other instance has. */
  "standby-diverged": { exit: 61, retryable: false, owner: "environment" },
  /** The repository is encrypted, and the key for it is not given, is not one of its keys, or was lost. */
  "encryption-key": { exit: 62, retryable: false, owner: "operator" },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof errorCodes;
