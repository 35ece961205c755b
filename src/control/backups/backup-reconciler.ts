import { describeError, isEngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ResourceChange } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { ends, type BackupDecision } from "./backup-decision.ts";
import { backupsOf, gatherBackupFacts, type BackupFactSources } from "./backup-facts.ts";
import { isFinished } from "./backup-status.ts";
import { viewBackup, type BackupView } from "./backup-view.ts";
import { decideBackup, decideRefused } from "./decide-backup.ts";
import { endedJobs, orphanedJobs } from "./ended-jobs.ts";

export interface BackupReconcilerOptions extends BackupFactSources {
  readonly log: Log;
  /** Called when a Backup of the cluster has ended, well or not: what its repositories hold is another. */
  readonly onFinished: (cluster: ResourceKey) => void;
}

/** Takes Backups: decides what is next, writes it down, and then tells the instances. */
export class BackupReconciler implements Reconciler {
  readonly kind = "Backup";
  readonly #options: BackupReconcilerOptions;

  constructor(options: BackupReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ResourceKey, signal: AbortSignal): Promise<Again> {
    const resource = this.#options.store.get(key);
    if (resource === undefined) {
      // Which cluster it was of is not known any more.
      for (const cluster of this.#clustersIn(key.namespace)) await this.#forgetEndedJobs(cluster, signal);
      return "never";
    }
    if (resource.metadata.deletionTimestamp !== undefined) return "never";
    const backup = viewBackup(resource);
    const cluster = clusterOf(backup);
    const facts = gatherBackupFacts(backup, this.#options);
    const decision = decideBackup(facts);
    // Nothing waits between gathering and writing: two Backups of a cluster cannot both find that it is their turn.
    if (!this.#write(resource, decision)) return "never";
    const again = await this.#tell(backup, decision, signal);
    if (isFinished(decision.status)) await this.#forgetEndedJobs(cluster, signal);
    return again;
  }

  affectedBy({ resource }: ResourceChange): readonly ResourceKey[] {
    if (resource.kind !== "Cluster") return [];
    return backupsOf(this.#options.store, keyOf(resource))
      .filter(({ status }) => !isFinished(status))
      .map((backup) => keyOf(backup.resource));
  }

  /** False when the Backup is gone, or another one of its name is there. */
  #write(resource: Resource, decision: BackupDecision): boolean {
    const { store, onFinished } = this.#options;
    const backup = viewBackup(resource);
    const written = store.setStatus(keyOf(resource), decision.status, { ifUid: resource.metadata.uid });
    if (written === undefined) return false;
    for (const event of decision.events) store.recordEvent({ about: written, ...event });
    if (ends(decision) && !isFinished(backup.status)) onFinished(clusterOf(backup));
    return true;
  }

  async #tell(backup: BackupView, { tell, again }: BackupDecision, signal: AbortSignal): Promise<Again> {
    const { store, instances, log } = this.#options;
    for (const { instance: name, request } of tell) {
      if (signal.aborted) break;
      const instance = instances.of(clusterOf(backup)).find((candidate) => candidate.name === name);
      try {
        await instance?.ask(request);
      } catch (error) {
        log.warn(`instance ${name} did not take a request for ${formatKey(keyOf(backup.resource))}`, {
          request: request.op,
          error: describeError(error),
        });
        if (request.op !== "backup") continue;
        const now = store.get(keyOf(backup.resource));
        if (now === undefined || now.metadata.uid !== backup.uid) return "never";
        const refused = decideRefused(gatherBackupFacts(viewBackup(now), this.#options), {
          message: describeError(error),
          isFinal: isEngineError(error) && !error.retryable,
        });
        this.#write(now, refused);
        return refused.again;
      }
    }
    return again;
  }

  async #forgetEndedJobs(cluster: ResourceKey, signal: AbortSignal): Promise<void> {
    const { store, instances, log } = this.#options;
    const handles = instances.of(cluster);
    const backups = backupsOf(store, cluster);
    const requests = [
      ...orphanedJobs(handles, backups).map((job) => ({ ...job, op: "cancel-backup" as const })),
      ...endedJobs(handles, backups).map((job) => ({ ...job, op: "forget-backup" as const })),
    ];
    for (const { instance, op, id } of requests) {
      if (signal.aborted) return;
      try {
        await handles.find(({ name }) => name === instance)?.ask({ op, id });
      } catch (error) {
        // It will be told again with the next Backup of this cluster that ends.
        log.debug(`instance ${instance} did not ${op}`, { error: describeError(error) });
      }
    }
  }

  #clustersIn(namespace: string): readonly ResourceKey[] {
    return this.#options.store.list({ kind: "Cluster", namespace }).map(keyOf);
  }
}

function clusterOf({ resource, clusterName }: BackupView): ResourceKey {
  return { kind: "Cluster", namespace: resource.metadata.namespace, name: clusterName };
}
