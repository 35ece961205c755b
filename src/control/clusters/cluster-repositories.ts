import type { Repository } from "../../repository/repository.ts";
import type { Resource } from "../resources/resource.ts";

/** One place that the WAL and base backups of a cluster or server go to, opened. */
export interface ClusterRepository {
  readonly repository: Repository;
  /** Name of the ObjectStore in its namespace; undefined for `spec.backup.barmanObjectStore`. */
  readonly objectStore: string | undefined;
  /** As written: `30d`. Of the ObjectStore, or in-tree of `spec.backup`. Undefined: nothing is ever deleted. */
  readonly retentionPolicy: string | undefined;
  /** Pause between two looks at the retention. Default 1800. */
  readonly retentionIntervalSeconds: number;
}

/** The repositories of all Clusters and Servers. They are opened when first asked for, and again when what describes them changes. */
export interface ClusterRepositories {
  /**
   * Of a Cluster or Server, in the order of its manifest, the plugin's own store first; empty for one that archives nowhere. Throws
   * `manifest` naming what is missing (an ObjectStore, a Secret, a key), and what opening a store throws.
   */
  of(owner: Resource): Promise<readonly ClusterRepository[]>;
}
