import { throwIfAborted } from "../common/abort.ts";
import type { ErrorCode } from "../common/error-codes.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import type { Repository } from "./repository.ts";

/*
 * What several repositories of one server mean for whoever reads: the next one is asked where one is in trouble, and
 * "there is none" is said only when all of them were asked.
 */

/** Why one repository, or one object in it, was passed over. */
export interface RepositoryTrouble {
  readonly repository: Repository;
  readonly error: EngineError;
}

/** An object that was damaged or missing in one repository, and of which another one had a good copy. */
export interface ReplacedObject {
  /** Name of the repository whose object is not as it should be. */
  readonly repository: string;
  readonly key: string;
  /** In the error's own words. */
  readonly reason: string;
  /** Name of the repository that the good copy came from. */
  readonly from: string;
}

export function describeReplaced({ repository, key, reason, from }: ReplacedObject): string {
  return `"${key}" in repository "${repository}" could not be used (${reason}); repository "${from}" had a good copy`;
}

/**
 * Codes of what is wrong with a store as a whole: the next object of it will hardly do better. An encrypted one whose keys are
 * gone, or open with another key, is of as little use as one that is down.
 */
const storeCodes: ReadonlySet<ErrorCode> = new Set([
  "store-unavailable",
  "store-denied",
  "store-missing",
  "encryption-key",
]);
/** Codes of what is wrong with one object. */
const objectCodes: ReadonlySet<ErrorCode> = new Set([
  "object-corrupt",
  "object-missing",
  "postgres-format",
  "wal-refused",
]);

export function isStoreTrouble(error: unknown): error is EngineError {
  return isEngineError(error) && storeCodes.has(error.code);
}

/** Whether what is stored under this key cannot be used: it is damaged, or lies where the disk fails. */
export function isUnusable(error: unknown): error is EngineError {
  return (
    isEngineError(error, "object-corrupt") || (isEngineError(error) && error.details["isUnreadable"] === true)
  );
}

/** Whether another repository may do better. */
export function concernsRepository(error: unknown): error is EngineError {
  return isEngineError(error) && (storeCodes.has(error.code) || objectCodes.has(error.code));
}

/** An outage may pass, damage does not: the one that is worth waiting for. `troubles`: at least one. */
export function worstTrouble(troubles: readonly RepositoryTrouble[]): EngineError {
  const trouble = troubles.find(({ error }) => error.retryable) ?? troubles[0];
  return trouble?.error ?? new EngineError("internal", "no repository is in trouble");
}

/** The first result of the repositories in their order. Throws what none of them can help, else `worstTrouble`. */
export async function firstThatWorks<Result>(
  repositories: readonly Repository[],
  attempt: (repository: Repository) => Promise<Result>,
  signal?: AbortSignal,
): Promise<{ readonly result: Result; readonly troubles: readonly RepositoryTrouble[] }> {
  const troubles: RepositoryTrouble[] = [];
  for (const repository of repositories) {
    try {
      return { result: await attempt(repository), troubles };
    } catch (error) {
      throwIfAborted(signal);
      if (!concernsRepository(error)) throw error;
      troubles.push({ repository, error });
    }
  }
  throw worstTrouble(troubles);
}

/** Why a repository was left out, for people. */
export function describeTrouble({ repository, error }: RepositoryTrouble): string {
  return `repository "${repository.name}" could not be read: ${describeError(error)}`;
}
