import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { openStore } from "../storage/open-store.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { wrapStore } from "../storage/wrap-store.ts";
import { azureStoreOptions } from "./azure-settings.ts";
import { ClaimNote } from "./claim-note.ts";
import { gcsStoreOptions } from "./gcs-settings.ts";
import { requireS3Settings, s3StoreOptions } from "./s3-settings.ts";
import { readOperatorKey } from "./encryption/operator-key.ts";
import { RepositoryKeys } from "./encryption/repository-keys.ts";
import { requirePlain } from "./encryption/require-plain.ts";
import { withEncryption } from "./encryption/with-encryption.ts";
import { placeOf } from "./repository-place.ts";
import type { RepositorySettings } from "./repository-settings.ts";
import type { Repository } from "./repository.ts";
import { parseServerName, type ServerName } from "./server-name.ts";

/** Whether whoever opens a repository may begin it: a directory that does not exist is made only for writers. */
export type StoreAccess =
  | {
      readonly kind: "read";
      /** Of several, one whose directory is not there, or may not be entered, is opened too; its calls throw what is wrong with it. */
      readonly allowMissing?: boolean;
      /** As for writers: for a reader that fills what is there. */
      readonly spoolDirectory?: string | undefined;
    }
  /** The spool directory, where one is known, says which repositories were begun before (`claim-note.ts`). */
  | { readonly kind: "write"; readonly spoolDirectory: string | undefined };

export interface OpenRepositoriesOptions {
  /** In the order in which they are to be asked. */
  readonly settings: readonly RepositorySettings[];
  /** For repositories whose settings name none. */
  readonly server: ServerName;
  readonly log: Log;
  readonly access: StoreAccess;
  readonly signal: AbortSignal;
}

/** Settings of a repository that has a name, given or by its place in the list. */
export type NamedSettings = RepositorySettings & { readonly name: string };

/**
 * Opens one server's repositories, wrapped (timeout, limit, log, retry), in the order of their settings. A store in a
 * network is not asked anything yet. When one cannot be opened, none stays open. The caller closes them
 * (`closeRepositories`).
 *
 * @throws EngineError `config` for two of one name and for credentials and keys that cannot be read, `usage` for a URL or a server
 * name that is none, `store-missing` for a directory that is not there, and what making it throws: for writers only when there is
 * no other repository.
 */
export async function openRepositories(options: OpenRepositoriesOptions): Promise<readonly Repository[]> {
  return openEach(options, openRepository);
}

/** The same with their stores as they are below the encryption: for those who care for the keys, and nothing else. */
export async function openBareRepositories(options: OpenRepositoriesOptions): Promise<readonly Repository[]> {
  return openEach(options, openBareRepository);
}

async function openEach(
  options: OpenRepositoriesOptions,
  openOne: (settings: NamedSettings, options: OpenRepositoriesOptions) => Promise<Repository>,
): Promise<readonly Repository[]> {
  const repositories: Repository[] = [];
  try {
    for (const settings of nameRepositories(options.settings)) {
      repositories.push(await openOne(settings, options));
    }
    return repositories;
  } catch (error) {
    await closeRepositories(repositories);
    throw error;
  }
}

/** Ends their connections. All are closed, also when one fails, whose error is thrown then. */
export async function closeRepositories(repositories: readonly Repository[]): Promise<void> {
  const closed = await Promise.allSettled(repositories.map(async ({ store }) => store.close()));
  const failed = closed.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/**
 * Gives those without a name one: `repo1`, `repo2`, … by their place. Throws `config` for two of one name; checked before
 * any is opened, because a mistake in the configuration is one whatever the stores say.
 */
export function nameRepositories(settings: readonly RepositorySettings[]): readonly NamedSettings[] {
  const named = settings.map((entry, index) => ({ ...entry, name: entry.name ?? `repo${index + 1}` }));
  const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) !== index);
  if (twice === undefined) return named;
  throw new EngineError("config", `two repositories are called "${twice.name}"`, {
    hint: "Give each a name of its own.",
  });
}

/** Whether the operator's key can be read is seen now; the repository's keys are read when they are first needed. */
async function openRepository(
  settings: NamedSettings,
  options: OpenRepositoriesOptions,
): Promise<Repository> {
  const { encryption } = settings;
  if (encryption !== undefined) await readOperatorKey(encryption);
  const bare = await openBareRepository(settings, options);
  const store =
    encryption === undefined
      ? requirePlain(bare.store, bare.server)
      : withEncryption(bare.store, {
          keys: new RepositoryKeys(bare, async () => readOperatorKey(encryption)),
          root: `${bare.server}/`,
        });
  return { ...bare, store };
}

async function openBareRepository(
  settings: NamedSettings,
  { server: usualServer, log, access, signal, settings: all }: OpenRepositoriesOptions,
): Promise<Repository> {
  const { name } = settings;
  const server = settings.server === undefined ? usualServer : parseServerName(settings.server);
  const repositoryLog = log.child({ server, repository: name });
  const claimNote = claimNoteFor(settings, server, access);
  const isBegun = (await claimNote?.exists()) ?? false;
  const open = async (root: { readonly createRoot: boolean; readonly allowMissingRoot: boolean }) =>
    openWrapped(settings, repositoryLog, signal, root);
  const store = await open({
    createRoot: access.kind === "write" && !isBegun,
    // It is not mounted just now; the others must not wait for it, nor must it be made.
    allowMissingRoot: isBegun || (access.kind === "read" && access.allowMissing === true && all.length > 1),
  }).catch(async (error: unknown) => {
    const isMistake = isEngineError(error, "config") || isEngineError(error, "usage");
    if (access.kind === "read" || all.length === 1 || isMistake || signal.aborted) throw error;
    // Its directory cannot be made; that is no reason to write nothing into the others.
    repositoryLog.warn("could not begin a repository", { error: describeError(error) });
    return open({ createRoot: false, allowMissingRoot: true });
  });
  return { name, server, store, log: repositoryLog, ...(claimNote === undefined ? {} : { claimNote }) };
}

function claimNoteFor(
  settings: RepositorySettings,
  server: ServerName,
  access: StoreAccess,
): ClaimNote | undefined {
  if (access.spoolDirectory === undefined) return undefined;
  return new ClaimNote(access.spoolDirectory, { ...placeOf(settings), server });
}

/** The store that settings name, unwrapped. Throws as `openRepositories`. */
export async function openSettingsStore(
  settings: NamedSettings,
  signal: AbortSignal,
  root: { readonly createRoot?: boolean; readonly allowMissingRoot?: boolean } = {},
): Promise<ObjectStore> {
  requireS3Settings(settings.name, settings);
  return openStore(settings.url, {
    ...root,
    s3: s3StoreOptions(settings),
    gcs: gcsStoreOptions(settings),
    azure: azureStoreOptions(settings),
    signal,
  });
}

async function openWrapped(
  settings: NamedSettings,
  log: Log,
  signal: AbortSignal,
  root: { readonly createRoot: boolean; readonly allowMissingRoot: boolean },
): Promise<ObjectStore> {
  const { maxBytesPerSecond } = settings;
  const store = await openSettingsStore(settings, signal, root);
  if (maxBytesPerSecond === undefined) return wrapStore(store, { log });
  const rate = { writeBytesPerSecond: maxBytesPerSecond, readBytesPerSecond: maxBytesPerSecond };
  return wrapStore(store, { log, rate });
}
