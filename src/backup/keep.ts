import type { BackupId } from "../repository/backup-id.ts";
import { requireFinished } from "../repository/backup-info.ts";
import { readCatalogueEntry, type CatalogueEntry, type KeepTarget } from "../repository/catalogue.ts";
import { keepKey } from "../repository/keys.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";
import { EngineError } from "../common/errors.ts";

/**
 * Protects a finished backup from deletion and retention, as Barman's `annotations/keep` does: `full` with all WAL from
 * it on, `standalone` with only the WAL that makes it consistent. Repeating it, with another target too, is fine.
 *
 * @throws EngineError `backup-absent` when there is none, or it did not finish.
 */
export async function keepBackup(
  repository: Repository,
  id: BackupId,
  target: KeepTarget,
  signal?: AbortSignal,
): Promise<void> {
  const entry = await readCatalogueEntry(repository, id, signal);
  requireDone(repository, entry);
  // Exactly the word, without a newline: Barman compares it.
  await repository.store.put(keepKey(repository.server, id), [Buffer.from(target)], signal ? { signal } : {});
}

/** Takes the protection away; fine when there is none. */
export async function releaseKeep(repository: Repository, id: BackupId, signal?: AbortSignal): Promise<void> {
  await repository.store.delete([keepKey(repository.server, id)], signal ? { signal } : {});
}

function requireDone(repository: Repository, entry: CatalogueEntry): void {
  if (entry.kind === "done") return;
  if (entry.kind === "failed") requireFinished(entry.id, entry.info);
  throw new EngineError(
    "backup-absent",
    `there is no finished backup "${entry.id}" in repository "${describeRepository(repository)}"`,
    { hint: 'Only finished backups can be kept; "tidemark base list" shows them.' },
  );
}
