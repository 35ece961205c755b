import { EngineError } from "../../common/errors.ts";
import { isPortTaken } from "../../control/clusters/port-taken.ts";
import type { ClusterObject } from "./cluster-resource.ts";

/**
 * Why the cluster that is being restored has been given up for now; undefined while it is not. It is tried again by itself, but
 * a target that cannot be reached fails each time, and whoever waits must not wait for ever.
 */
export function restoreFailure({ metadata, status }: ClusterObject): EngineError | undefined {
  const failed = status.tidemark?.instances.find(
    ({ state, error }) => state === "failed" && error !== undefined && !isPortTaken(error),
  );
  if (failed === undefined) return undefined;
  const { namespace, name } = metadata;
  return new EngineError("postgres-failed", `Cluster ${namespace}/${name} is not restored: ${failed.error}`, {
    hint: `It is tried again by itself: tidemark status ${name} -n ${namespace} shows it; tidemark delete cluster ${name} -n ${namespace} gives it up.`,
  });
}
