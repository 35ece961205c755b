import { EngineError } from "../../common/errors.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, type ResourceKey } from "../resources/resource.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { ClusterInstances, InstanceHandle } from "./cluster-instances.ts";
import { rememberedStatus } from "./cluster-status.ts";
import { streams } from "./standby-condition.ts";

const replayed = ({ status }: InstanceHandle): bigint => parseLsn(status?.postgres?.lsn ?? "0/0");

/**
 * Asks for another primary: a planned switchover, which the Cluster's reconciler then does. Without a name the standby that has
 * replayed most. Throws `resource-missing`, and `usage` when there is nobody who could take over: one that does not stream could not. Returns who will.
 */
export function requestSwitchover(
  { store, instances }: { readonly store: ResourceStore; readonly instances: ClusterInstances },
  cluster: ResourceKey,
  wanted: string | undefined,
): string {
  const resource = store.require(cluster);
  const { currentPrimary } = rememberedStatus(resource.status);
  const present = instances.of(cluster);
  const standbys = present.filter(
    ({ name, status }) =>
      name !== currentPrimary && status?.phase === "running" && status.postgres?.role === "standby",
  );
  const names = standbys
    .filter(streams)
    .toSorted((a, b) => (replayed(b) > replayed(a) ? 1 : replayed(b) < replayed(a) ? -1 : 0))
    .map(({ name }) => name);
  const target = wanted === undefined ? names[0] : present.find(({ name }) => name === wanted)?.name;
  if (target === undefined || (target !== currentPrimary && !names.includes(target))) {
    const idle = standbys.find(({ name }) => name === target);
    if (idle !== undefined) throw notStreaming(cluster, idle);
    const what = wanted === undefined ? "no streaming standby" : `no running standby "${wanted}"`;
    throw new EngineError("usage", `${formatKey(cluster)} has ${what} that could become the primary`, {
      hint:
        names.length === 0
          ? "Give it standbys with spec.instances, and wait until they stream."
          : `It has ${names.map((name) => `"${name}"`).join(", ")}.`,
    });
  }
  store.setStatus(cluster, { ...resource.status, targetPrimary: target }, { ifUid: resource.metadata.uid });
  store.recordEvent({
    about: resource,
    type: "Normal",
    reason: "SwitchoverRequested",
    message:
      target === currentPrimary ? `${target} is the primary already` : `${target} is to become the primary`,
  });
  return target;
}

function notStreaming(cluster: ResourceKey, { name, status }: InstanceHandle): EngineError {
  const why = status?.trouble === undefined ? "" : `: ${status.trouble.message}`;
  return new EngineError(
    "usage",
    `standby "${name}" of ${formatKey(cluster)} does not stream from the primary, so it cannot take over${why}`,
    { hint: "Wait until it streams; tidemark status shows it." },
  );
}
