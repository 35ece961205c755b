import type { InstanceRequest, InstanceStatus } from "../../instance/instance-status.ts";
import type { ResourceKey } from "../resources/resource.ts";

/** One instance of a cluster, as reconcilers see it: a folder, and a process that may or may not live. */
export interface InstanceHandle {
  /** `pg-1`. */
  readonly name: string;
  /** Its folder. */
  readonly folder: string;
  /** What it said last, and when; at most a few seconds old while it lives. Undefined when it does not answer. */
  readonly status: InstanceStatus | undefined;
  /** Throws `agent-unreachable`, or what it answers. */
  ask(request: InstanceRequest, options?: { readonly timeoutMs?: number }): Promise<unknown>;
}

/** The instances of all clusters on this machine. */
export interface ClusterInstances {
  /** By number; the cluster's primary is the one whose status says so. */
  of(cluster: ResourceKey): readonly InstanceHandle[];
}
