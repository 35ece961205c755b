import { deleteBackup } from "../../backup/delete-backup.ts";
import type { Clock } from "../../common/clock.ts";
import { isEngineError } from "../../common/errors.ts";
import { planExpiration, type ExpirationPlan } from "../../expire/expiration-plan.ts";
import { formatRetentionPolicy, parseRetentionPolicy } from "../../expire/retention-policy.ts";
import { parseSystemIdentifier, type SystemIdentifier } from "../../postgres/system-identifier.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import { readCatalogue } from "../../repository/catalogue.ts";
import { readIdentity, requireSameSystem } from "../../repository/identity.ts";
import { findPrimary } from "../backups/choose-instance.ts";
import type { ClusterInstances } from "../clusters/cluster-instances.ts";
import type { ClusterRepositories, ClusterRepository } from "../clusters/cluster-repositories.ts";
import { rememberedStatus } from "../clusters/cluster-status.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { knownArchive, maintenanceIntervalMs } from "./cluster-stores.ts";
import type { IntervalWork } from "./interval-work.ts";
import { retryMs } from "./windows-work.ts";

export interface RetentionWorkOptions {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  /** Of its running primary: whoever is none has no say in what is deleted. Undefined while there is none. */
  readonly systemOf: (owner: Resource) => SystemIdentifier | undefined;
  readonly clock: Clock;
  /** Called when backups of a cluster were deleted: its windows have to be read again. */
  readonly onDeleted: (cluster: ResourceKey) => void;
}

/** Deletes what the retention policies of a cluster's repositories make obsolete. */
export function retentionWork(options: RetentionWorkOptions): IntervalWork {
  return {
    name: "retention",
    retryMs,
    failure: { reason: "RetentionPolicyFailed", message: "Retention policy failed" },
    intervalMs: (cluster) => {
      const archive = knownArchive(cluster, options.store);
      const hasPolicy = archive?.stores.some(({ retentionPolicy }) => retentionPolicy !== undefined);
      return hasPolicy === true && archive !== undefined ? maintenanceIntervalMs(archive) : undefined;
    },
    run: async (cluster, signal) => applyRetention(cluster, options, signal),
  };
}

/** All repositories are seen to, also when one of them fails; the first failure is thrown in the end. */
async function applyRetention(
  cluster: Resource,
  options: RetentionWorkOptions,
  signal: AbortSignal,
): Promise<void> {
  const system = options.systemOf(cluster);
  // Nobody can tell yet whether what is in the repositories is this cluster's.
  if (system === undefined) return;
  let failure: unknown;
  for (const target of await options.repositories.of(cluster)) {
    const deleted: BackupId[] = [];
    try {
      await expireRepository(target, { ...options, system, signal, onDeleted: (id) => deleted.push(id) });
    } catch (error) {
      if (signal.aborted) throw error;
      failure ??= error;
    } finally {
      if (deleted.length > 0) tellDeleted(cluster, target, deleted, options);
    }
  }
  if (failure !== undefined) throw failure;
}

/** The system of a Cluster's running primary. */
export function systemOfCluster(
  cluster: Resource,
  instances: ClusterInstances,
): SystemIdentifier | undefined {
  const { currentPrimary } = rememberedStatus(cluster.status);
  const primary = findPrimary(instances.of(keyOf(cluster)), currentPrimary);
  const postgres = primary?.status?.postgres;
  return postgres?.role === "primary" ? parseSystemIdentifier(postgres.systemIdentifier) : undefined;
}

/** What the policy of a repository would delete just now; undefined without a policy. Throws what reading it throws. */
export async function planRetention(
  { repository, retentionPolicy }: ClusterRepository,
  { now, signal }: { readonly now: Date; readonly signal?: AbortSignal },
): Promise<ExpirationPlan | undefined> {
  if (retentionPolicy === undefined) return undefined;
  const policy = parseRetentionPolicy(retentionPolicy);
  return planExpiration(await readCatalogue(repository, signal), { policy, now });
}

interface ExpireOptions {
  readonly clock: Clock;
  readonly system: SystemIdentifier;
  readonly signal: AbortSignal;
  readonly onDeleted: (id: BackupId) => void;
}

async function expireRepository(
  target: ClusterRepository,
  { clock, system, signal, onDeleted }: ExpireOptions,
): Promise<void> {
  const { repository } = target;
  const now = clock.now();
  const plan = await planRetention(target, { now, signal });
  if (plan === undefined || plan.obsolete.length === 0) return;
  const identity = await readIdentity(repository, signal);
  // Nothing of this cluster has been written to it yet: what it holds is another tool's.
  if (identity === undefined) return;
  // A new cluster under an old name must not thin out what the old one left.
  requireSameSystem(repository, identity, { systemIdentifier: system });
  for (const id of plan.obsolete) {
    try {
      await deleteBackup({ repository, backup: id, now, byPolicy: true, signal });
      onDeleted(id);
    } catch (error) {
      // Marked or deleted by somebody since the plan was made: just what the policy would have found then.
      if (!isEngineError(error, "backup-kept") && !isEngineError(error, "backup-absent")) throw error;
    }
  }
}

function tellDeleted(
  cluster: Resource,
  { repository, retentionPolicy }: ClusterRepository,
  deleted: readonly BackupId[],
  { store, onDeleted }: RetentionWorkOptions,
): void {
  const policy = formatRetentionPolicy(parseRetentionPolicy(retentionPolicy ?? ""));
  store.recordEvent({
    about: cluster,
    type: "Normal",
    reason: "RetentionPolicyApplied",
    message: `${policy}: deleted ${deleted.join(", ")} from repository "${repository.name}"`,
  });
  onDeleted(keyOf(cluster));
}
