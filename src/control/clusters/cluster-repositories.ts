import type { Repository } from "../../repository/repository.ts";
import type { Resource } from "../resources/resource.ts";

/** One place that a cluster's WAL and base backups go to, opened. */
export interface ClusterRepository {
  readonly repository: Repository;
  /** Name of the ObjectStore in the cluster's namespace; undefined for `spec.backup.barmanObjectStore`. */
  readonly objectStore: string | undefined;
  /** As written: `30d`. Of the ObjectStore, or in-tree of `spec.backup`. Undefined: nothing is ever deleted. */
  readonly retentionPolicy: string | undefined;
  /** Pause between two looks at the retention. Default 1800. */
  readonly retentionIntervalSeconds: number;
}

/** The repositories of all clusters. They are opened when first asked for, and again when what describes them changes. */
export interface ClusterRepositories {
  /**
   * In the order of the manifest, the plugin's own store first; empty for a cluster that archives nowhere. Throws
   * `manifest` naming what is missing (an ObjectStore, a Secret, a key), and what opening a store throws.
   */
  of(cluster: Resource): Promise<readonly ClusterRepository[]>;
}
