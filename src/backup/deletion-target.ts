import { EngineError } from "../common/errors.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { findBackup, matchingBackups, readCatalogue, type CatalogueEntry } from "../repository/catalogue.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";

/** What a deletion is about: one ID, and the repositories that hold it. */
export interface DeletionTarget {
  readonly id: BackupId;
  readonly repositories: readonly Repository[];
}

/**
 * Resolves an ID, a name or `latest` once for all repositories: each may have another latest one, and the answer to
 * "Delete?" is about what was shown. Repositories without the backup are left out, with a warning.
 *
 * @throws EngineError `backup-absent`; `usage` when several backups are meant.
 */
export async function findDeletionTarget(
  repositories: readonly Repository[],
  wanted: string,
  signal?: AbortSignal,
): Promise<DeletionTarget> {
  const held = await Promise.all(
    repositories.map(async (repository) => ({
      repository,
      catalogue: await readCatalogue(repository, signal),
    })),
  );
  const found = held.flatMap(({ repository, catalogue }) =>
    matchingBackups(catalogue, wanted).map(({ id }) => ({ id, repository })),
  );
  const [first] = found;
  if (first === undefined) {
    for (const { repository, catalogue } of held) findBackup(repository, catalogue, wanted);
    throw new EngineError("usage", "no repository to delete from");
  }
  if (found.some(({ id }) => id !== first.id)) throw ambiguous(wanted, found);
  const { id } = first;
  const holders = held.filter(({ catalogue }) => catalogue.some((entry) => entry.id === id));
  for (const { repository, catalogue } of held) {
    if (catalogue.some((entry) => entry.id === id)) continue;
    repository.log.warn("this repository does not hold the backup", {
      repository: repository.name,
      backup: id,
    });
  }
  return { id, repositories: holders.map(({ repository }) => repository) };
}

/** As `findBackup`, for what cannot be undone: throws `usage` when several backups have the name. */
export function findOnlyBackup(
  repository: Repository,
  catalogue: readonly CatalogueEntry[],
  wanted: string,
): CatalogueEntry {
  const found = matchingBackups(catalogue, wanted);
  if (found.length > 1)
    throw ambiguous(
      wanted,
      found.map(({ id }) => ({ id, repository })),
    );
  return findBackup(repository, catalogue, wanted);
}

function ambiguous(
  wanted: string,
  found: readonly { readonly id: BackupId; readonly repository: Repository }[],
): EngineError {
  const list = found.map(({ id, repository }) => `"${id}" in "${describeRepository(repository)}"`).join(", ");
  return new EngineError("usage", `"${wanted}" may mean several backups: ${list}`, {
    hint: "Give the ID of the one to delete.",
  });
}
