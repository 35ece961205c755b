import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import { planExpiration } from "../../expire/expiration-plan.ts";
import { parseRetentionPolicy } from "../../expire/retention-policy.ts";
import type { DoneStep } from "../../heal/carry-out.ts";
import type { Expires } from "../../heal/plan-heal.ts";
import { healRepositories, planRepositories } from "../../heal/run-heal.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import type { SystemIdentifier } from "../../postgres/system-identifier.ts";
import { destinationsOf } from "../backups/start-backup.ts";
import type { ClusterRepositories, ClusterRepository } from "../clusters/cluster-repositories.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { knownArchive, maintenanceIntervalMs } from "./cluster-stores.ts";
import type { IntervalWork } from "./interval-work.ts";
import { retryMs } from "./windows-work.ts";

export interface HealWorkOptions {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  /** Of its running primary: nothing is copied into a repository of another system. Undefined while there is none. */
  readonly systemOf: (owner: Resource) => SystemIdentifier | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when something was copied: the cluster's windows have to be read again. */
  readonly onHealed: (cluster: ResourceKey) => void;
}

/**
 * Copies to each repository of a cluster what it missed, from another one: backups that it was left out of, WAL, and objects that
 * are damaged where that shows without reading all of them. What a repository's own retention removed is not brought back.
 */
export function healWork(options: HealWorkOptions): IntervalWork {
  const severalStores = (cluster: Resource) => {
    const archive = knownArchive(cluster, options.store);
    return archive !== undefined && archive.stores.length > 1 ? archive : undefined;
  };
  return {
    name: "heal",
    retryMs,
    failure: { reason: "HealFailed", message: "Could not copy to a repository what it lacks" },
    intervalMs: (cluster) => {
      const archive = severalStores(cluster);
      return archive && maintenanceIntervalMs(archive);
    },
    // A store that was added is filled at once.
    dependsOn: (cluster) => {
      const archive = severalStores(cluster);
      return archive === undefined ? "" : JSON.stringify(destinationsOf(archive));
    },
    run: async (cluster, signal) => healCluster(cluster, options, signal),
  };
}

async function healCluster(cluster: Resource, options: HealWorkOptions, signal: AbortSignal): Promise<void> {
  const { repositories, systemOf, clock, log, store, onHealed } = options;
  const system = systemOf(cluster);
  // Nobody can tell yet whether what is in the repositories is this cluster's.
  if (system === undefined) return;
  // Without any base backup WAL is of no use, and the stores may not have been begun yet.
  if (valueAt(cluster.status, ["firstRecoverabilityPoint"]) === undefined) return;
  const targets = await repositories.of(cluster);
  const heal = {
    repositories: targets.map(({ repository }) => repository),
    system,
    expires: expiresBy(targets, clock),
    clock,
    log,
    signal,
  };
  const { done, failed, unread } = await healRepositories(heal, await planRepositories(heal));
  for (const [name, steps] of Map.groupBy(done, ({ step }) => step.target.name)) {
    const message = `Repository "${name}" was given what it lacked: ${describeDone(steps)}`;
    store.recordEvent({ about: cluster, type: "Normal", reason: "RepositoryHealed", message });
  }
  if (done.length > 0) onHealed(keyOf(cluster));
  // What could not be read may lack something: it is looked at again soon, and not with the next interval.
  const [first] = [...failed, ...unread];
  if (first !== undefined) throw first.error;
}

/** By each repository's own policy; without one nothing is ever too old. */
function expiresBy(targets: readonly ClusterRepository[], clock: Clock): Expires {
  return (repository, candidate, { catalogue, lacking }) => {
    const { retentionPolicy } = targets.find((target) => target.repository === repository) ?? {};
    if (retentionPolicy === undefined) return false;
    const policy = parseRetentionPolicy(retentionPolicy);
    const { obsolete } = planExpiration([...catalogue, ...lacking], { policy, now: clock.now() });
    return obsolete.includes(candidate.id);
  };
}

function describeDone(done: readonly DoneStep[]): string {
  const backups = done.flatMap(({ step }) => (step.kind === "backup" ? [step.id] : []));
  const wal = done.filter(({ step }) => step.kind === "wal").length;
  const mended = done.filter(({ outcome }) => outcome === "mended").length;
  return [
    ...(backups.length === 0 ? [] : [`${backups.length === 1 ? "backup" : "backups"} ${backups.join(", ")}`]),
    ...(wal === 0 ? [] : [`${wal} WAL files`]),
    ...(mended === 0 ? [] : [`${mended} of these were damaged`]),
  ].join(", ");
}
