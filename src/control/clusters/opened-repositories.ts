import type { Log } from "../../common/log.ts";
import { EngineError } from "../../common/errors.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource } from "../resources/resource.ts";
import { archiveOfObject, storeFolder } from "../archived-objects.ts";
import type { ClusterRepositories, ClusterRepository } from "./cluster-repositories.ts";
import { openableArchive, type OpenableArchive } from "./openable-archive.ts";

interface Opened {
  /** Of everything they were opened from. */
  readonly key: string;
  readonly repositories: Promise<readonly Repository[]>;
}

/** Opens the repositories of clusters and servers for the control plane itself: to look into them, and to delete what retention says. */
export class OpenedRepositories implements ClusterRepositories, AsyncDisposable {
  readonly #options: {
    readonly store: ResourceStore;
    readonly stateDirectory: string;
    readonly log: Log;
    readonly signal: AbortSignal;
  };
  readonly #opened = new Map<string, Opened>();

  constructor(options: {
    readonly store: ResourceStore;
    readonly stateDirectory: string;
    readonly log: Log;
    readonly signal: AbortSignal;
  }) {
    this.#options = options;
  }

  async of(owner: Resource): Promise<readonly ClusterRepository[]> {
    const { store, stateDirectory } = this.#options;
    const archive = archiveOfObject(owner, store);
    if (archive.kind === "missing") throw incomplete(owner, archive.problems);
    const { stores } = archive.value;
    if (stores.length === 0) return [];
    const key = keyOf(owner);
    const directory = storeFolder(stateDirectory, key);
    const openable = await openableArchive(archive.value, { store, namespace: key.namespace, directory });
    if (openable.kind === "missing") throw incomplete(owner, openable.problems);
    const repositories = await this.#open(formatKey(key), openable.value);
    return repositories.flatMap((repository, index) => {
      const description = stores[index];
      if (description === undefined) return [];
      const { objectStore, retentionPolicy, retentionIntervalSeconds } = description;
      return [{ repository, objectStore, retentionPolicy, retentionIntervalSeconds }];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all(all.map(closeQuietly));
  }

  async #open(
    owner: string,
    { archive: { serverName }, repositories: settings }: OpenableArchive,
  ): Promise<readonly Repository[]> {
    const key = JSON.stringify([serverName, settings]);
    const present = this.#opened.get(owner);
    if (present?.key === key) return present.repositories;
    if (present !== undefined) void closeQuietly(present);
    const { log, signal } = this.#options;
    const repositories = openRepositories({
      settings,
      server: parseServerName(serverName),
      log,
      // One whose disk is not mounted must not keep the cluster from what the others have.
      access: { kind: "read", allowMissing: true },
      signal,
    });
    this.#opened.set(owner, { key, repositories });
    try {
      return await repositories;
    } catch (error) {
      // A store that could not be opened is tried again by the next who asks.
      this.#opened.delete(owner);
      throw error;
    }
  }
}

/** Whoever still uses them meets an error and asks again. */
async function closeQuietly({ repositories }: Opened): Promise<void> {
  const opened = await repositories.catch(() => []);
  await closeRepositories(opened);
}

function incomplete(owner: Resource, problems: readonly string[]): EngineError {
  return new EngineError(
    "manifest",
    `the stores of ${formatKey(keyOf(owner))} are not complete: ${problems.join("; ")}`,
    { hint: "Apply what is missing." },
  );
}
