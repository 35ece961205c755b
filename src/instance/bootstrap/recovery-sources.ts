import { EngineError, isEngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { closeRepositories, nameRepositories, openRepositories } from "../../repository/open-repositories.ts";
import type { RepositorySettings } from "../../repository/repository-settings.ts";
import type { Repository } from "../../repository/repository.ts";
import { concernsRepository } from "../../repository/several-repositories.ts";
import type { ServerName } from "../../repository/server-name.ts";

/** Why one repository cannot be recovered from. */
export interface SourceFailure {
  /** Its name. */
  readonly repository: string;
  readonly error: EngineError;
}

/** The repositories to recover from, opened; disposing closes them. */
export interface RecoverySources extends AsyncDisposable {
  readonly repositories: readonly Repository[];
  /** Those that could not be opened: a directory whose disk is not mounted, credentials that are gone. */
  readonly failures: readonly SourceFailure[];
}

/** Opens what can be opened, in the given order. Throws `config` for two of one name, and `aborted`. */
export async function openSources(
  settings: readonly RepositorySettings[],
  server: ServerName,
  log: Log,
  signal: AbortSignal,
): Promise<RecoverySources> {
  const repositories: Repository[] = [];
  const failures: SourceFailure[] = [];
  for (const entry of nameRepositories(settings)) {
    try {
      const access = { kind: "read" } as const;
      repositories.push(...(await openRepositories({ settings: [entry], server, log, access, signal })));
    } catch (error) {
      if (!isEngineError(error) || error.code === "aborted") {
        await closeRepositories(repositories);
        throw error;
      }
      failures.push({ repository: entry.name, error });
    }
  }
  return { repositories, failures, [Symbol.asyncDispose]: async () => closeRepositories(repositories) };
}

/** Whether another repository may do better. */
export function concernsSource(error: unknown): error is EngineError {
  return concernsRepository(error) || (isEngineError(error) && isRefusal(error));
}

/**
 * Why none will do. "It cannot be reached" is said only when every one of them was asked and says so: where one could not
 * be asked, that is the error, because it may have what is wanted. `failures`: at least one.
 */
export function noSource(server: ServerName, failures: readonly SourceFailure[]): EngineError {
  const unasked = failures.filter(({ error }) => !isRefusal(error));
  const { error } =
    unasked.find((failure) => failure.error.retryable) ??
    unasked[0] ??
    failures.find((failure) => failure.error.code === "target-unreachable") ??
    failures[0] ??
    unnamed;
  if (failures.length === 1) return error;
  const reasons = failures.map((failure) => `"${failure.repository}": ${failure.error.message}`);
  return new EngineError(error.code, `no repository of "${server}" will do: ${reasons.join("; ")}`, {
    cause: error,
    retryable: error.retryable,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

const isRefusal = ({ code }: EngineError): boolean =>
  code === "target-unreachable" || code === "backup-absent";

const unnamed: SourceFailure = {
  repository: "",
  error: new EngineError("config", "no repository to recover from is given"),
};
