import type { RepositoryStatus } from "../agent/repository-status.ts";

/** What of a repository's state a status repeats: without what changes with every file while all is well. */
export function storeReport(repository: RepositoryStatus | undefined): Record<string, unknown> {
  if (repository === undefined) return {};
  const {
    state,
    owedFiles,
    missingFiles = 0,
    lastStored,
    lagFiles,
    lagBytes,
    failingSince,
    isHealing,
  } = repository;
  const isBehind = state === "failing" || owedFiles + missingFiles > 0;
  return {
    state,
    owedFiles,
    lastStoredWAL: lastStored?.name,
    lastStoredTime: lastStored?.at,
    ...(isBehind ? { missingFiles, lagFiles, lagBytes, healing: isHealing } : {}),
    failingSince,
  };
}
