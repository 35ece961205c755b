import type { z } from "zod";
import { cluster } from "../../manifest/kinds/cluster.ts";
import { remakeStandbysAnnotation } from "../../manifest/lint/rules/annotations.ts";
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
  /** How long a primary may be down before a standby takes over: `spec.failoverDelay`. */
  readonly failoverAfterMs: number;
  /** How long a standby may be unable to follow before it is made anew: `tidemark.dev/remake-standbys-after`; undefined for never. */
  readonly remakeStandbysAfterMs: number | undefined;
}

/** CloudNativePG's own default is no time at all; a restart of the server or of the machine's disk is quicker than a failover. */
const failoverAfterMs = 30_000;
const remakeStandbysAfterMs = 30_000;

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
    failoverAfterMs:
      parsed.data.failoverDelay === undefined ? failoverAfterMs : parsed.data.failoverDelay * 1000,
    remakeStandbysAfterMs: remakeDelay(annotations[remakeStandbysAnnotation]),
  };
}

/** Seconds, or `never`; what is neither leaves it as it is. */
function remakeDelay(text: string | undefined): number | undefined {
  if (text === "never") return undefined;
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) * 1000 : remakeStandbysAfterMs;
}
