import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import { fetchWal } from "../archive/fetch-wal.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import { pushWal, type PushContext } from "../archive/push-wal.ts";
import type { PushOutcome } from "../archive/store-wal.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";
import { exists, type Spool } from "./spool.ts";

/** A file that a repository is without. */
export interface MissingFile {
  readonly file: WalFileName;
  /** What it was when it was acknowledged; undefined when it is known only from the listing of another repository. */
  readonly written: { readonly sizeBytes: number; readonly mtimeNs: bigint } | undefined;
}

export interface HealFileOptions {
  readonly spool: Spool;
  readonly walDirectory: string;
  /** Of the agent: the others are the sources. */
  readonly targets: readonly ArchiveTarget[];
  readonly expected: ExpectedSystem;
  readonly context: PushContext;
}

/**
 * Brings one file to a repository that is without it: from `pg_wal` while that has it as it was acknowledged, else from
 * another repository, else from `pg_wal` if PostgreSQL has marked it as archived there. Throws `wal-absent` when nobody has
 * it, and what the source throws; a failure of the repository itself is the outcome.
 */
export async function healFile(
  missing: MissingFile,
  target: ArchiveTarget,
  options: HealFileOptions,
  signal: AbortSignal,
): Promise<PushOutcome> {
  const { file, written } = missing;
  // A listing is older than what it led to.
  if (written === undefined && (await findWalObjects(target.repository, file, signal)).length > 0) {
    return { kind: "already-archived", repository: target.repository.name };
  }
  const source = await findSource(missing, target, options, signal);
  try {
    const { context, expected } = options;
    const report = await pushWal(context, { path: source.path, file, targets: [target], expected, signal });
    const [outcome] = report.outcomes;
    if (outcome === undefined) throw new EngineError("internal", `nothing was done with "${file.name}"`);
    return outcome;
  } finally {
    if (source.isCopy) await rm(source.path, { force: true });
  }
}

interface Source {
  readonly path: string;
  readonly isCopy: boolean;
}

async function findSource(
  { file, written }: MissingFile,
  target: ArchiveTarget,
  options: HealFileOptions,
  signal: AbortSignal,
): Promise<Source> {
  const { walDirectory, targets, spool, expected } = options;
  const local = join(walDirectory, file.name);
  if (written !== undefined && (await isAsWritten(local, written))) return { path: local, isCopy: false };
  // One place for each repository: two may lack the same file.
  const destination = join(spool.heal, `${targets.indexOf(target)}.${file.name}`);
  const fetched = await fetchWal({
    file,
    destination,
    repositories: targets.filter((other) => other !== target).map(({ repository }) => repository),
    expectedSystemIdentifier: expected.systemIdentifier,
    walSegmentSizeBytes: expected.walSegmentSizeBytes,
    signal,
  });
  if (fetched.kind === "delivered") return { path: destination, isCopy: true };
  const mark = join(walDirectory, "archive_status", `${file.name}.done`);
  if ((await exists(mark)) && (await exists(local))) return { path: local, isCopy: false };
  throw new EngineError(
    "wal-absent",
    `WAL file "${file.name}" is neither in pg_wal nor in another repository`,
    {
      hint: "Was it expired there already? Then the gap in the other repository is older than its backups too.",
    },
  );
}

/** Whether the file is still the one that was acknowledged. */
async function isAsWritten(
  path: string,
  written: { readonly sizeBytes: number; readonly mtimeNs: bigint },
): Promise<boolean> {
  try {
    const stats = await stat(path, { bigint: true });
    return stats.mtimeNs === written.mtimeNs && Number(stats.size) === written.sizeBytes;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return false;
    throw error;
  }
}
