import type { Log } from "../../common/log.ts";
import { EngineError } from "../../common/errors.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import type { Repository } from "../../repository/repository.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource } from "../resources/resource.ts";
import { archiveOf } from "./cluster-archive.ts";
import { clusterFolders } from "./cluster-folders.ts";
import type { ClusterRepositories, ClusterRepository } from "./cluster-repositories.ts";
import { viewCluster } from "./cluster-view.ts";
import { resolveStore, type ResolvedStore } from "./store-resolution.ts";
import { writeStoreFiles } from "./store-files.ts";

interface Opened {
  /** Of everything they were opened from. */
  readonly key: string;
  readonly repositories: Promise<readonly Repository[]>;
}

/** Opens the repositories of clusters for the control plane itself: to look into them, and to delete what retention says. */
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

  async of(cluster: Resource): Promise<readonly ClusterRepository[]> {
    const { store, stateDirectory } = this.#options;
    const view = viewCluster(cluster);
    const archive = archiveOf(view, store);
    if (archive.kind === "missing") throw incomplete(cluster, archive.problems);
    const { serverName, stores } = archive.value;
    if (stores.length === 0) return [];
    const resolved = stores.map((description) => resolveStore(store, view.namespace, description));
    const problems = resolved.flatMap((item) => (item.kind === "missing" ? item.problems : []));
    if (problems.length > 0) throw incomplete(cluster, problems);
    const ready = resolved.flatMap((item) => (item.kind === "ok" ? [item.value] : []));
    const folders = clusterFolders(stateDirectory, view.key);
    const repositories = await this.#open(formatKey(keyOf(cluster)), folders.stores, serverName, ready);
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
    cluster: string,
    directory: string,
    serverName: string,
    stores: readonly ResolvedStore[],
  ): Promise<readonly Repository[]> {
    const settings = await writeStoreFiles(directory, stores);
    const key = JSON.stringify([serverName, settings]);
    const present = this.#opened.get(cluster);
    if (present?.key === key) return present.repositories;
    if (present !== undefined) void closeQuietly(present);
    const { log, signal } = this.#options;
    const repositories = openRepositories({
      settings,
      server: parseServerName(serverName),
      log,
      access: { kind: "read" },
      signal,
    });
    this.#opened.set(cluster, { key, repositories });
    try {
      return await repositories;
    } catch (error) {
      // A store that could not be opened is tried again by the next who asks.
      this.#opened.delete(cluster);
      throw error;
    }
  }
}

/** Whoever still uses them meets an error and asks again. */
async function closeQuietly({ repositories }: Opened): Promise<void> {
  const opened = await repositories.catch(() => []);
  await closeRepositories(opened);
}

function incomplete(cluster: Resource, problems: readonly string[]): EngineError {
  return new EngineError(
    "manifest",
    `the stores of ${formatKey(keyOf(cluster))} are not complete: ${problems.join("; ")}`,
    { hint: "Apply what is missing." },
  );
}
