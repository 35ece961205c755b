import { EngineError } from "../common/errors.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { readCatalogue, type CatalogueEntry } from "../repository/catalogue.ts";
import { backupPrefix, walPrefix } from "../repository/keys.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";
import { parseWalObject, type WalObject } from "../repository/wal-inventory.ts";
import { planWalPruning, refuseDeletion, type DeletionRefusal, type WalPruning } from "./delete-plan.ts";
import { findIncompleteBackups, lifeSign, type IncompleteBackup } from "./incomplete.ts";
import { findOnlyBackup } from "./deletion-target.ts";
import { deleteInBatches, removeBackupObjects } from "./remove-backup.ts";

export interface DeleteBackupRequest {
  readonly repository: Repository;
  /** ID or name of a backup, or `latest`. For several repositories: an ID, from `findDeletionTarget`. */
  readonly backup: string;
  readonly now: Date;
  /** Also the last good backup, and one that may be running. Never a kept one. */
  readonly force?: boolean;
  /** A retention policy asks, not a person: a `standalone` keep mark holds no WAL but its own backup's. */
  readonly byPolicy?: boolean;
  /** Return the plan and delete nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

/** What deleting a backup takes away. */
export interface DeletionPlan {
  readonly id: BackupId;
  readonly kind: CatalogueEntry["kind"];
  readonly objects: number;
  readonly bytes: number;
  readonly wal: WalPruning;
}

/**
 * Deletes one backup, and the WAL that only it needed. The backup goes first, its `backup.info` before all else, then
 * the WAL: a crash in between leaves either a folder that is no backup, or WAL that nobody needs; the next deletion, or
 * this one repeated, removes both.
 *
 * @throws EngineError `backup-absent`, `usage` (a name that several have), `backup-kept` (a keep mark; without `force` also the last good backup), `locked`
 * (perhaps it is running).
 */
export async function deleteBackup(request: DeleteBackupRequest): Promise<DeletionPlan> {
  const { repository, signal } = request;
  // In this order a backup that finishes meanwhile is in both lists; in the other it would be in neither.
  const incomplete = await findIncompleteBackups(repository, signal);
  const catalogue = await readCatalogue(repository, signal);
  const entry = findOnlyBackup(repository, catalogue, request.backup);
  refuse(repository, entry, catalogue, incomplete, request);

  const running = incomplete.filter(({ id }) => id !== entry.id);
  const wal = planWalPruning(entry, {
    catalogue,
    running,
    wal: await listWal(repository, signal),
    byPolicy: request.byPolicy === true,
  });
  const size = await measure(repository, entry.id, signal);
  const plan: DeletionPlan = { id: entry.id, kind: entry.kind, ...size, wal };
  if (request.dryRun === true) return plan;

  await removeBackupObjects(repository, entry.id, signal);
  if (wal.kind === "prune") {
    await deleteInBatches(
      repository,
      wal.objects.map(({ key }) => key),
      signal,
    );
  }
  repository.log.info("deleted a backup", {
    repository: repository.name,
    backup: entry.id,
    ...size,
    walObjects: wal.kind === "prune" ? wal.objects.length : 0,
  });
  return plan;
}

function refuse(
  repository: Repository,
  entry: CatalogueEntry,
  catalogue: readonly CatalogueEntry[],
  incomplete: readonly IncompleteBackup[],
  request: DeleteBackupRequest,
): void {
  const folder = incomplete.find(({ id }) => id === entry.id);
  const isDead = folder !== undefined && lifeSign(folder, { now: request.now }).kind === "dead";
  const refusal = refuseDeletion(entry, catalogue, { force: request.force === true, isDead });
  if (refusal !== undefined) throw refusalError(repository, entry.id, refusal);
}

function refusalError(repository: Repository, id: BackupId, refusal: DeletionRefusal): EngineError {
  const what = `refused to delete backup "${id}" of "${describeRepository(repository)}"`;
  switch (refusal.kind) {
    case "kept":
      return new EngineError("backup-kept", `${what}: it has the keep mark "${refusal.keep}"`, {
        hint: `Release it first: tidemark base keep ${id} --release.`,
      });
    case "last-good":
      return new EngineError("backup-kept", `${what}: it is the last good one`, {
        hint: "Without it nothing can be restored. Take another backup first, or say --force.",
      });
    case "perhaps-running":
      return new EngineError("locked", `${what}: it may still be running`, {
        hint: "It counts as dead after 30 minutes without a sign of life. If you know that it is, say --force.",
      });
  }
}

async function listWal(repository: Repository, signal: AbortSignal | undefined): Promise<WalObject[]> {
  const found: WalObject[] = [];
  const prefix = walPrefix(repository.server);
  for await (const entry of repository.store.list(prefix, signal ? { signal } : {})) {
    const object = parseWalObject(entry);
    if (object !== undefined) found.push(object);
  }
  return found;
}

async function measure(
  repository: Repository,
  id: BackupId,
  signal: AbortSignal | undefined,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  let objects = 0;
  let bytes = 0;
  const prefix = backupPrefix(repository.server, id);
  for await (const entry of repository.store.list(prefix, signal ? { signal } : {})) {
    if (entry.kind !== "object") continue;
    objects++;
    bytes += entry.sizeBytes;
  }
  return { objects, bytes };
}
