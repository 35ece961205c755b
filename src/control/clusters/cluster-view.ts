import type { z } from "zod";
import { cluster } from "../../manifest/kinds/cluster.ts";
import { misfit } from "../misfit.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";

export type ClusterSpec = z.infer<typeof cluster>["spec"];

/** A Cluster with its fields typed, and what its annotations say of it. */
export interface ClusterView {
  readonly resource: Resource;
  readonly key: ResourceKey;
  readonly name: string;
  readonly namespace: string;
  readonly spec: ClusterSpec;
  readonly instances: number;
  /** `cnpg.io/hibernation: "on"`: nothing runs, nothing is taken, nothing is lost. */
  readonly isHibernated: boolean;
  /** `cnpg.io/skipWalArchiving: enabled`. */
  readonly skipsArchiving: boolean;
  /** `cnpg.io/skipEmptyWalArchiveCheck: enabled`. */
  readonly skipsEmptyArchiveCheck: boolean;
}

/** Throws `manifest` for one that no longer fits its schema: kept by an older version, say. */
export function viewCluster(resource: Resource): ClusterView {
  const key = keyOf(resource);
  const parsed = cluster.shape.spec.safeParse(resource.content["spec"]);
  if (!parsed.success) throw misfit(key, parsed.error);
  const { annotations } = resource.metadata;
  return {
    resource,
    key,
    name: key.name,
    namespace: key.namespace,
    spec: parsed.data,
    instances: parsed.data.instances ?? 1,
    isHibernated: annotations["cnpg.io/hibernation"] === "on",
    skipsArchiving: annotations["cnpg.io/skipWalArchiving"] === "enabled",
    skipsEmptyArchiveCheck: annotations["cnpg.io/skipEmptyWalArchiveCheck"] === "enabled",
  };
}
