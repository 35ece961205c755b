import { basename } from "node:path";
import { EngineError } from "../common/errors.ts";
import { silentLog, type Log } from "../common/log.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { parseWalFileName, type WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import type { Delivery } from "./deliver-wal.ts";
import { fetchWal, type FetchOutcome } from "./fetch-wal.ts";
import type { ExpectedSystem } from "./local-wal.ts";
import { pushWal, requireAllArchived, type PushReport } from "./push-wal.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { WalEncoder } from "./encode-wal.ts";
import { RepositoryClaims } from "./repository-claims.ts";

/** Reads a name as PostgreSQL gives it to `archive_command` and `restore_command`. Throws `usage`. */
export function requireWalFileName(name: string): WalFileName {
  const file = parseWalFileName(name);
  if (file !== undefined) return file;
  throw new EngineError("usage", `"${name}" is not the name of a WAL file`, {
    hint: "Give a segment (24 hexadecimal digits), a history file, a partial segment or a backup label file.",
  });
}

/**
 * `archive_command` without an agent: archives one file in all targets, or throws. Success means that every one of them
 * has it durably.
 */
export async function pushWalFile(options: {
  /** `%p`; the name is its last step. */
  readonly path: string;
  readonly targets: readonly ArchiveTarget[];
  /** From the cluster's `pg_control`. */
  readonly expected: ExpectedSystem;
  readonly log?: Log;
  readonly signal?: AbortSignal;
}): Promise<PushReport> {
  const { path, targets, expected, signal } = options;
  const report = await pushWal(
    {
      claims: new RepositoryClaims(),
      buffers: new ReadBuffers(),
      encoder: new WalEncoder(),
      log: options.log ?? silentLog,
    },
    { path, file: requireWalFileName(basename(path)), targets, expected, ...(signal ? { signal } : {}) },
  );
  requireAllArchived(report);
  return report;
}

/** `restore_command` without prefetch: see `fetchWal`. */
export async function fetchWalFile(options: {
  /** `%f`. */
  readonly name: string;
  /** `%p`. */
  readonly destination: string;
  readonly repositories: readonly Repository[];
  readonly walSegmentSizeBytes?: number;
  readonly expectedSystemIdentifier?: SystemIdentifier;
  /** See `Delivery`. */
  readonly owner?: NonNullable<Delivery["owner"]>;
  readonly signal?: AbortSignal;
}): Promise<FetchOutcome> {
  return fetchWal({ ...options, file: requireWalFileName(options.name) });
}
