import type { Resource } from "../resources/resource.ts";

/** What one repository of a Cluster or Server can restore, as its catalogue said when it was read last. */
export interface RepositoryWindow {
  /** What messages call the repository. */
  readonly repository: string;
  /** Name of the ObjectStore; undefined in-tree. */
  readonly objectStore: string | undefined;
  readonly serverName: string;
  /** When it was read; undefined while that has not succeeded yet. */
  readonly readAt: Date | undefined;
  /** The end of its oldest finished backup: CloudNativePG's first point of recoverability. */
  readonly firstRecoverabilityPoint: Date | undefined;
  /** The end of its newest one. */
  readonly lastSuccessfulBackupTime: Date | undefined;
  /** How many finished ones it has. */
  readonly backupCount?: number;
  /** Why the last reading failed; the other fields are then of an earlier one. */
  readonly error: string | undefined;
}

/** The windows of all Clusters and Servers: kept in memory, and read again from the stores after a start. */
export interface ClusterWindows {
  /** In the order of the cluster's repositories; undefined before they were read. */
  of(cluster: Resource): readonly RepositoryWindow[] | undefined;
}

export class WindowTable implements ClusterWindows {
  /** By the object's uid: one that was deleted and made again is another one. */
  readonly #windows = new Map<string, readonly RepositoryWindow[]>();

  of(cluster: Resource): readonly RepositoryWindow[] | undefined {
    return this.#windows.get(cluster.metadata.uid);
  }

  set(cluster: Resource, windows: readonly RepositoryWindow[]): void {
    this.#windows.set(cluster.metadata.uid, windows);
  }

  /** Forgets all clusters but these. */
  keep(clusters: readonly Resource[]): void {
    const uids = new Set(clusters.map(({ metadata }) => metadata.uid));
    for (const uid of this.#windows.keys()) if (!uids.has(uid)) this.#windows.delete(uid);
  }
}
