import { throwIfAborted } from "../../common/abort.ts";
import { assert, EngineError, isEngineError } from "../../common/errors.ts";
import { parseTargetTime } from "../../postgres/recovery-settings-time.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import type { RecoveryTarget } from "../../postgres/recovery-settings.ts";
import { timelineId } from "../../postgres/timeline.ts";
import { readIdentity } from "../../repository/identity.ts";
import { planRestore } from "../../restore/plan-restore.ts";
import { summarizePlan, type RestorePlanSummary } from "../../restore/plan-summary.ts";
import type { Resource } from "../resources/resource.ts";
import type { ClusterRepositories, ClusterRepository } from "./cluster-repositories.ts";
import type { WantedTarget } from "./recovery-bootstrap.ts";

/** How a cluster's data would be restored to a target: from which of its repositories, and how. */
export interface RecoveryPreview {
  readonly objectStore: string | undefined;
  /** ObjectStores besides it that could be read, and may have what it lacks. */
  readonly furtherObjectStores: readonly string[];
  readonly repository: string;
  readonly serverName: string;
  readonly plan: RestorePlanSummary;
}

export interface PreviewRequest {
  readonly target: WantedTarget;
  readonly timeline: "latest" | number;
  /** ID of a backup, or `auto`. */
  readonly backup: string;
}

/**
 * Plans from what the cluster's repositories hold together; the first that has the backup is named. Throws `target-unreachable`
 * when they cannot reach the target, and the trouble of one that could not be asked when the others cannot.
 */
export async function previewRecovery(
  repositories: ClusterRepositories,
  cluster: Resource,
  request: PreviewRequest,
  signal?: AbortSignal,
): Promise<RecoveryPreview> {
  const places = await repositories.of(cluster);
  if (places.length === 0) {
    throw new EngineError("backup-absent", `Cluster "${cluster.metadata.name}" archives nowhere`, {
      hint: "Give it an ObjectStore by the parameters of its plugin.",
    });
  }
  const plan = await planRestore({
    repositories: places.map(({ repository }) => repository),
    request: {
      target: engineTarget(request.target),
      timeline: request.timeline === "latest" ? "latest" : timelineId(request.timeline),
      backup: request.backup,
    },
    signal,
  });
  if (plan.kind === "unreachable") {
    throw new EngineError("target-unreachable", `this cannot be restored: ${plan.reason}`, {
      hint: plan.hint,
    });
  }
  const first = plan.sources[0]?.repository;
  const place = places.find(({ repository }) => repository === first);
  assert(place !== undefined, "a plan has a source");
  return {
    objectStore: place.objectStore,
    furtherObjectStores: await readable(
      places.filter((other) => other !== place && other.repository.server === place.repository.server),
      signal,
    ),
    repository: place.repository.name,
    serverName: place.repository.server,
    plan: summarizePlan(plan, []),
  };
}

/** Of a store that is gone nobody could say during the recovery that it does not have a file: it would wait for that store. */
async function readable(
  places: readonly ClusterRepository[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const found = await Promise.all(
    places.map(async ({ repository, objectStore }) => {
      try {
        const identity = await readIdentity(repository, signal);
        return identity === undefined || objectStore === undefined ? [] : [objectStore];
      } catch (error) {
        throwIfAborted(signal);
        if (!isEngineError(error)) throw error;
        return [];
      }
    }),
  );
  return found.flat();
}

/** Throws `usage` for a time that cannot be read. */
function engineTarget(target: WantedTarget): RecoveryTarget {
  switch (target.kind) {
    case "latest":
    case "immediate":
      return { kind: target.kind };
    case "time":
      return { ...target, time: parseTargetTime(target.time).canonical };
    case "lsn":
      return { ...target, lsn: parseLsn(target.lsn) };
    case "xid":
    case "name":
      return target;
  }
}
