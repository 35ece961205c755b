import { isEngineError } from "../../common/errors.ts";
import { archiveOfObject } from "../archived-objects.ts";
import type { ClusterArchive } from "../clusters/cluster-archive.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { Resource } from "../resources/resource.ts";

/** A pause of nothing would keep a store busy for ever. */
const shortestIntervalMs = 1000;

/** Where a Cluster or Server archives to; undefined when that is nowhere, or something that it names is missing just now. */
export function knownArchive(owner: Resource, store: ResourceStore): ClusterArchive | undefined {
  try {
    const archive = archiveOfObject(owner, store);
    return archive.kind === "ok" && archive.value.stores.length > 0 ? archive.value : undefined;
  } catch (error) {
    // It no longer fits its schema; its own status says so.
    if (isEngineError(error, "manifest")) return undefined;
    throw error;
  }
}

/** The shortest pause that one of its stores asks for (`retentionPolicyIntervalSeconds`). */
export function maintenanceIntervalMs({ stores }: ClusterArchive): number {
  const seconds = Math.min(...stores.map(({ retentionIntervalSeconds }) => retentionIntervalSeconds));
  return Math.max(shortestIntervalMs, seconds * 1000);
}
