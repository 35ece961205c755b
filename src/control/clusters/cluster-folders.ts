import { join } from "node:path";
import type { ResourceKey } from "../resources/resource.ts";

/** Where a cluster's files are, below the state directory. */
export interface ClusterFolders {
  /** `<state>/clusters/<namespace>/<cluster>`. */
  readonly root: string;
  /** The uid of the Cluster that everything here is of. */
  readonly owner: string;
  /** One folder for each instance. */
  readonly instances: string;
  /** Credentials and certificates of its stores, of mode 0600. */
  readonly stores: string;
  /** Folders of instances that were given up, kept for a person to look at. */
  readonly aside: string;
}

export function clusterFolders(stateDirectory: string, { namespace, name }: ResourceKey): ClusterFolders {
  const root = join(clustersRoot(stateDirectory), namespace, name);
  return {
    root,
    owner: join(root, "owner"),
    instances: join(root, "instances"),
    stores: join(root, "stores"),
    aside: join(root, "aside"),
  };
}

export function clustersRoot(stateDirectory: string): string {
  return join(stateDirectory, "clusters");
}

/** The number at the end of an instance's name; undefined for another cluster's or none. */
export function instanceNumber(cluster: string, name: string): number | undefined {
  const digits = name.startsWith(`${cluster}-`) ? name.slice(cluster.length + 1) : "";
  return /^[1-9]\d*$/.test(digits) ? Number(digits) : undefined;
}
