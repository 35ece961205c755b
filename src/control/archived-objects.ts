import { join } from "node:path";
import { archiveOf, type ClusterArchive } from "./clusters/cluster-archive.ts";
import { clusterFolders } from "./clusters/cluster-folders.ts";
import { viewCluster } from "./clusters/cluster-view.ts";
import type { Resolution } from "./clusters/store-resolution.ts";
import type { ResourceStore } from "./resources/resource-store.ts";
import type { Resource, ResourceKey } from "./resources/resource.ts";
import { archiveOfServer } from "./servers/server-archive.ts";
import { serverFolder } from "./servers/server-folder.ts";
import { viewServer } from "./servers/server-view.ts";

/** What has an archive, whoever runs its PostgreSQL: Clusters and Servers. */

export function isArchived(kind: string): boolean {
  return kind === "Cluster" || kind === "Server";
}

export function archivedObjects(store: ResourceStore): readonly Resource[] {
  return [...store.list({ kind: "Cluster" }), ...store.list({ kind: "Server" })];
}

/** Where the WAL and base backups of an object go. Throws `manifest` for one that no longer fits its schema. */
export function archiveOfObject(resource: Resource, store: ResourceStore): Resolution<ClusterArchive> {
  return resource.kind === "Server"
    ? archiveOfServer(viewServer(resource), store)
    : archiveOf(viewCluster(resource), store);
}

/** For credentials and certificates of its stores. */
export function storeFolder(stateDirectory: string, key: ResourceKey): string {
  return key.kind === "Server"
    ? join(serverFolder(stateDirectory, key), "stores")
    : clusterFolders(stateDirectory, key).stores;
}
