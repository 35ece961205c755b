import { throwIfAborted } from "../common/abort.ts";
import { describeError } from "../common/errors.ts";
import type { FinishedEntry } from "../repository/catalogue.ts";
import type { GatheredFacts } from "../repository/gathered-facts.ts";
import {
  concernsRepository,
  worstTrouble,
  type RepositoryTrouble,
} from "../repository/several-repositories.ts";
import { readBackupParts } from "./backup-parts.ts";
import type { BackupSource } from "./part-layouts.ts";

/**
 * The parts of a backup as each of its holders has them: whole ones first, and those with a manifest before those that have
 * none, because there a lost last part would not be noticed. Throws as `readBackupParts` when none can be read.
 */
export async function readSources(
  { holders }: GatheredFacts,
  backup: FinishedEntry,
  signal?: AbortSignal,
): Promise<{ readonly sources: readonly BackupSource[]; readonly notes: readonly string[] }> {
  const sources: BackupSource[] = [];
  const troubles: RepositoryTrouble[] = [];
  for (const { repository, entry } of holders.get(backup.id) ?? []) {
    try {
      sources.push({ repository, parts: await readBackupParts(repository, entry, signal) });
    } catch (error) {
      throwIfAborted(signal);
      if (!concernsRepository(error)) throw error;
      troubles.push({ repository, error });
    }
  }
  if (sources.length === 0) throw worstTrouble(troubles);
  const ours = sources.filter(({ parts }) => parts.manifest !== undefined);
  const others = sources.filter(({ parts }) => parts.manifest === undefined);
  const wholeFirst = ours.toSorted((a, b) => Number(isDamaged(a)) - Number(isDamaged(b)));
  const lost = ours.length === 0 ? [] : others;
  return {
    sources: [...wholeFirst, ...others],
    notes: [
      ...troubles.map(
        ({ repository, error }) =>
          `backup "${backup.id}" in repository "${repository.name}" is left out: ${describeError(error)}`,
      ),
      ...lost.map(
        ({ repository }) =>
          `the manifest of backup "${backup.id}" in repository "${repository.name}" is missing`,
      ),
    ],
  };
}

const isDamaged = ({ parts }: BackupSource): boolean => parts.problems.length > 0;
