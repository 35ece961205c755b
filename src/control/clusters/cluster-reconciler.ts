import { rm } from "node:fs/promises";
import type { Clock } from "../../common/clock.ts";
import { describeError, isEngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { resolveBootstrap } from "./bootstrap-resolution.ts";
import type { AsideEntry } from "./aside-folders.ts";
import { archiveOf } from "./cluster-archive.ts";
import {
  isPrimaryServer,
  isRunning,
  isUnmade,
  type ClusterAction,
  type ClusterDecision,
  type ClusterFacts,
  type InstanceFacts,
} from "./cluster-facts.ts";
import { clusterFolders } from "./cluster-folders.ts";
import { clusterStatus, type BackupReport } from "./cluster-report.ts";
import { phases, rememberedStatus, type RememberedStatus } from "./cluster-status.ts";
import { viewCluster, type ClusterView } from "./cluster-view.ts";
import { copiesToMake } from "./copy-source.ts";
import { asideToRemove } from "./decide-aside.ts";
import { decideCluster } from "./decide-cluster.ts";
import { wantedSpec } from "./instance-specs.ts";
import { ensureLoginSecrets, syncPasswords } from "./logins.ts";
import type { LocalInstances } from "./local-instances.ts";
import { openableArchive, type OpenableArchive } from "./openable-archive.ts";
import type { Resolution } from "./store-resolution.ts";
import { forgetGoneStandbys } from "./standby-slots.ts";
import { storageCondition, storageEvent } from "./storage-report.ts";
import { ensureTablespaces } from "./tablespaces.ts";

export interface ClusterReconcilerOptions {
  readonly store: ResourceStore;
  readonly instances: LocalInstances;
  readonly stateDirectory: string;
  /** What is known of a cluster's backups. */
  readonly backupReport: (cluster: Resource) => BackupReport;
  readonly clock: Clock;
  readonly log: Log;
}

/** Clusters: facts from the store and from the instances, one decision, its actions, and the status. */
export class ClusterReconciler implements Reconciler {
  readonly kind = "Cluster";
  readonly #options: ClusterReconcilerOptions;
  /** Clusters that were there since this process has begun, and the uids whose folders they have. */
  readonly #owners = new Map<string, string>();
  /** Instances of each cluster when its primary last knew of no others. */
  readonly #followed = new Map<string, string>();

  constructor(options: ClusterReconcilerOptions) {
    this.#options = options;
  }

  /** Everything that a Cluster may name lies in its own namespace, but for one that it is a copy of; and a look costs little. */
  affectedBy({ resource }: ResourceChange): readonly ResourceKey[] {
    if (resource.kind === "Cluster") return copiesToMake(this.#options.store, keyOf(resource));
    if (!["ObjectStore", "Secret", "ConfigMap", "Backup"].includes(resource.kind)) return [];
    return this.#options.store.list({ kind: "Cluster", namespace: resource.metadata.namespace }).map(keyOf);
  }

  async reconcile(key: ResourceKey): Promise<Again> {
    const { store } = this.#options;
    const resource = store.get(key);
    if (resource === undefined) return this.#removeAll(key);
    const remembered = rememberedStatus(resource.status);
    let view: ClusterView;
    try {
      view = viewCluster(resource);
    } catch (error) {
      const invalid = { ...resource.status, phase: phases.invalid, phaseReason: describeError(error) };
      store.setStatus(key, invalid, { ifUid: resource.metadata.uid });
      return "never";
    }
    await this.#takeFolder(resource);
    const facts = await this.#gather(view, remembered);
    const decision = decideCluster(facts);
    this.#announce(resource, remembered, decision);
    for (const action of decision.actions) await this.#act(view, facts, action);
    const backups = this.#options.backupReport(resource);
    const aside = await this.#clearAside(view, backups);
    const applicationSecret = await this.#giveAccess(view, remembered, facts.instances, decision);
    const instances =
      decision.actions.length === 0 ? facts.instances : await this.#options.instances.facts(key);
    await this.#forgetStandbys(view, instances, decision);
    const status = clusterStatus({
      view,
      remembered,
      decision,
      instances,
      backups,
      aside,
      applicationSecret,
      now: this.#options.clock.now(),
    });
    if (!this.#note(resource, status)) return { afterMs: 0 };
    const primary = instances.find(({ name }) => name === decision.currentPrimary);
    const storage = storageEvent(remembered.conditions, storageCondition(view, primary));
    if (storage !== undefined) store.recordEvent({ about: resource, ...storage });
    return { afterMs: decision.afterMs };
  }

  /** False when somebody has changed the Cluster meanwhile, or asked for another primary: that has to be looked at first. */
  #note({ kind, metadata }: Resource, status: Readonly<Record<string, unknown>>): boolean {
    const { name, namespace, uid, resourceVersion } = metadata;
    try {
      this.#options.store.setStatus({ kind, namespace, name }, status, {
        ifUid: uid,
        ifVersion: resourceVersion,
      });
      return true;
    } catch (error) {
      if (isEngineError(error, "resource-conflict")) return false;
      throw error;
    }
  }

  async #gather(view: ClusterView, remembered: RememberedStatus): Promise<ClusterFacts> {
    const { store, instances, stateDirectory, clock } = this.#options;
    const present = await instances.facts(view.key);
    return {
      view,
      remembered,
      archive: await this.#archive(view),
      bootstrap:
        present.length > 0 && !(remembered.systemId === undefined && present.every(isUnmade))
          ? { kind: "waiting", reason: "it has been bootstrapped" }
          : await resolveBootstrap(view, {
              store,
              stateDirectory,
              instancesOf: async (cluster) => instances.facts(cluster),
            }),
      instances: present,
      now: clock.now(),
    };
  }

  async #archive(view: ClusterView): Promise<Resolution<OpenableArchive | undefined>> {
    const { store, stateDirectory } = this.#options;
    const archive = archiveOf(view, store);
    if (archive.kind === "missing") return archive;
    if (archive.value.stores.length === 0) return { kind: "ok", value: undefined };
    const { stores } = clusterFolders(stateDirectory, view.key);
    return openableArchive(archive.value, { store, namespace: view.namespace, directory: stores });
  }

  /** What goes with an action is said each time; what only keeps it waiting once, until it is something else. */
  #announce(
    resource: Resource,
    remembered: RememberedStatus,
    { actions, events, phase, phaseReason }: ClusterDecision,
  ): void {
    const { store, log } = this.#options;
    const before = resource.status?.["phaseReason"];
    for (const event of events) {
      if (actions.length === 0 && phase === remembered.phase && phaseReason === before) continue;
      store.recordEvent({ about: resource, ...event });
      log.info(event.message, { cluster: formatKey(keyOf(resource)), reason: event.reason });
    }
  }

  async #act(view: ClusterView, facts: ClusterFacts, action: ClusterAction): Promise<void> {
    const { instances } = this.#options;
    switch (action.kind) {
      case "create": {
        const { name, role, bootstrap, major, binDirectory } = action;
        const archive = facts.archive.kind === "ok" ? facts.archive.value : undefined;
        const place = await instances.place(view.key, name);
        const spec = wantedSpec(view, {
          place,
          role,
          bootstrap,
          major,
          binDirectory,
          archive,
          wanted: "running",
        });
        await instances.writeSpec(view.key, { ...spec, version: 1 });
        instances.spawn(view.key, name);
        return;
      }
      case "write-spec":
        return instances.writeSpec(view.key, { ...action.spec, version: action.version });
      case "move": {
        const present = facts.instances.find(({ name }) => name === action.name)?.spec;
        if (present === undefined) return;
        const { port, socketDirectory } = await instances.place(view.key, action.name);
        return instances.writeSpec(view.key, {
          ...present,
          port,
          socketDirectory,
          version: present.version + 1,
        });
      }
      case "spawn":
        return instances.spawn(view.key, action.name);
      case "ask":
        return instances.begin(view.key, action.name, action.request);
      case "kill":
        return instances.kill(view.key, action.name);
      case "remove": {
        const place = await instances.remove(
          view.key,
          action.name,
          action.keepAside ? "replaced" : undefined,
        );
        if (place !== undefined) this.#announceAside(view, action.name, place);
        return;
      }
    }
  }

  #announceAside({ resource }: ClusterView, name: string, place: string): void {
    this.#options.store.recordEvent({
      about: resource,
      type: "Normal",
      reason: "PutAside",
      message: `the data of ${name} are in ${place}; they are removed when they have been there for a week and the cluster has a newer base backup`,
    });
  }

  /** Removes what was put aside and is not needed any more; gives what is left. */
  async #clearAside(
    { key, resource }: ClusterView,
    { fields }: BackupReport,
  ): Promise<readonly AsideEntry[]> {
    const { instances, store, clock, log } = this.#options;
    const entries = await instances.aside(key);
    const lastBackup = fields["lastSuccessfulBackup"];
    const { uid: owner } = resource.metadata;
    const removed = asideToRemove({
      entries,
      owner,
      lastBackup: typeof lastBackup === "string" ? lastBackup : undefined,
      now: clock.now(),
    });
    const gone = new Set<AsideEntry>();
    for (const entry of removed) {
      const { path } = entry;
      try {
        await rm(path, { recursive: true, force: true });
      } catch (error) {
        // It is tried again with the next look; nothing waits for it.
        log.warn("could not remove what was put aside", { path, error: describeError(error) });
        continue;
      }
      gone.add(entry);
      const message = `removed ${path}: it has been aside for a week, and the cluster has a newer base backup`;
      store.recordEvent({ about: resource, type: "Normal", reason: "AsideRemoved", message });
      log.info(message, { cluster: formatKey(key) });
    }
    return entries.filter((entry) => !gone.has(entry));
  }

  /** What keeps the application out of its database; it must not keep the rest from going on. */
  async #giveAccess(
    view: ClusterView,
    remembered: RememberedStatus,
    instances: readonly InstanceFacts[],
    { currentPrimary }: ClusterDecision,
  ): Promise<string | undefined> {
    const primary = instances.find(({ name }) => name === currentPrimary);
    const done = remembered.applicationSecret;
    if (primary?.spec === undefined || !isRunning(primary) || !isPrimaryServer(primary)) return done;
    const { store, log } = this.#options;
    try {
      ensureLoginSecrets(view, store, primary.spec);
      const mark = await syncPasswords(view, store, primary.spec, done);
      const problem = await ensureTablespaces(view, primary.spec);
      if (problem !== undefined) {
        store.recordEvent({
          about: view.resource,
          type: "Warning",
          reason: "TablespacesNotMade",
          message: problem,
        });
      }
      return mark;
    } catch (error) {
      log.warn("could not bring the cluster's role and tablespaces to what its manifest says", {
        cluster: formatKey(view.key),
        error: describeError(error),
      });
      return done;
    }
  }

  /** The primary keeps WAL for its standbys only. That waits, and nothing waits for it. */
  async #forgetStandbys(
    { key, name }: ClusterView,
    instances: readonly InstanceFacts[],
    { currentPrimary }: ClusterDecision,
  ): Promise<void> {
    const primary = instances.find((instance) => instance.name === currentPrimary);
    if (primary?.spec === undefined || !isRunning(primary) || !isPrimaryServer(primary)) return;
    const present = instances.map((instance) => instance.name);
    const mark = JSON.stringify([currentPrimary, primary.status?.postgres?.startedAt, present]);
    if (this.#followed.get(formatKey(key)) === mark) return;
    try {
      if (await forgetGoneStandbys(name, present, primary.spec)) this.#followed.set(formatKey(key), mark);
    } catch (error) {
      this.#options.log.warn("could not let the primary forget standbys that are gone", {
        cluster: formatKey(key),
        error: describeError(error),
      });
    }
  }

  /**
   * Makes sure that the instances are this Cluster's own. Those of an earlier one of the same name, which was deleted and made
   * again faster than anybody looked, or is in no database any more, hold other data: they are put aside first. The folder is
   * the new one's only when that is done.
   */
  async #takeFolder(resource: Resource): Promise<void> {
    const { instances, store } = this.#options;
    const key = keyOf(resource);
    const { uid } = resource.metadata;
    if (this.#owners.get(formatKey(key)) === uid) return;
    const owner = await instances.owner(key);
    if (owner !== undefined && owner !== uid) {
      const names = instances.of(key).map(({ name }) => name);
      for (const name of names) await instances.remove(key, name, "orphaned");
      await instances.forget(key);
      if (names.length > 0) {
        store.recordEvent({
          about: resource,
          type: "Warning",
          reason: "PutAside",
          message: `${names.join(", ")} of an earlier Cluster of this name put aside, with all data`,
        });
      }
    }
    if (owner !== uid) await instances.own(key, uid);
    this.#owners.set(formatKey(key), uid);
  }

  /**
   * The Cluster is gone: so are its instances. What it archived stays. Of one that we have never seen it cannot be told whether
   * it was deleted or its database lost: its instances end, and their data are put aside.
   */
  async #removeAll(key: ResourceKey): Promise<Again> {
    const { instances, log } = this.#options;
    const present = instances.of(key);
    const keepAside = !this.#owners.has(formatKey(key));
    for (const { name } of present) await instances.remove(key, name, keepAside ? "orphaned" : undefined);
    if (present.length > 0 && keepAside) {
      log.warn("put aside the instances of a cluster that is not there", { cluster: formatKey(key) });
    } else if (present.length > 0) {
      log.info("removed the instances of a deleted cluster", { cluster: formatKey(key) });
    }
    await instances.forget(key);
    this.#owners.delete(formatKey(key));
    this.#followed.delete(formatKey(key));
    return "never";
  }
}
