import type { Clock } from "../../common/clock.ts";
import { archivedObjects, isArchived } from "../archived-objects.ts";
import { backupPhases, isFinished } from "../backups/backup-status.ts";
import { viewBackup } from "../backups/backup-view.ts";
import { describeObjectStore, resolveStore } from "../clusters/store-resolution.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ClusterWindows } from "../maintenance/cluster-windows.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { readServerStatus } from "../servers/server-status.ts";
import { storeStatus } from "./store-status.ts";
import { usersOf, type StoreUser } from "./store-users.ts";

export interface ObjectStoreReconcilerOptions {
  readonly store: ResourceStore;
  readonly windows: ClusterWindows;
  readonly clock: Clock;
}

/** Windows are read elsewhere, and whoever has read them may say so; a look costs next to nothing. */
const lookMs = 30_000;

/** Says of ObjectStores what they lack, who uses them, and what can be restored from them. */
export class ObjectStoreReconciler implements Reconciler {
  readonly kind = "ObjectStore";
  readonly #options: ObjectStoreReconcilerOptions;

  constructor(options: ObjectStoreReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ResourceKey): Promise<Again> {
    const { store, windows, clock } = this.#options;
    const resource = store.get(key);
    if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) return "never";
    const { namespace, uid, generation } = resource.metadata;
    const users = usersOf(
      resource,
      archivedObjects(store).filter(({ metadata }) => metadata.namespace === namespace),
    );
    const status = storeStatus({
      before: resource.status,
      generation,
      users,
      problems: problemsOf(store, resource),
      windows: destinations(users).flatMap(({ user }) =>
        (windows.of(user) ?? []).filter(({ objectStore }) => objectStore === key.name),
      ),
      failures: failuresOf(store, resource, users),
      now: clock.now(),
    });
    store.setStatus(key, status, { ifUid: uid });
    return { afterMs: lookMs };
  }

  /** Everything that has to do with a store lies in its namespace. */
  affectedBy({ resource }: ResourceChange): readonly ResourceKey[] {
    const { kind, metadata } = resource;
    const isNews =
      kind === "Secret" ||
      isArchived(kind) ||
      // Only its end says anything of the store.
      (kind === "Backup" && isFinished(viewBackup(resource).status));
    if (!isNews) return [];
    return this.#options.store.list({ kind: this.kind, namespace: metadata.namespace }).map(keyOf);
  }
}

function destinations(users: readonly StoreUser[]): readonly StoreUser[] {
  return users.filter((user) => user.as === "destination");
}

/** Its Secrets and their keys, by name. */
function problemsOf(store: ResourceStore, { metadata: { name, namespace } }: Resource): readonly string[] {
  const described = describeObjectStore(store, namespace, name, name);
  const resolved = described.kind === "ok" ? resolveStore(store, namespace, described.value) : described;
  return resolved.kind === "missing" ? resolved.problems : [];
}

/** Only backups that were begun: one that was refused before has not failed at a store. */
function failuresOf(
  store: ResourceStore,
  { metadata }: Resource,
  users: readonly StoreUser[],
): ReadonlyMap<string, string> {
  const failures = new Map<string, string>();
  const note = (serverName: string, stoppedAt: string): void => {
    const known = failures.get(serverName);
    if (known === undefined || known < stoppedAt) failures.set(serverName, stoppedAt);
  };
  for (const resource of store.list({ kind: "Backup", namespace: metadata.namespace })) {
    const { phase, stoppedAt, destinations: places = [] } = viewBackup(resource).status;
    if (stoppedAt === undefined) continue;
    for (const { objectStore, serverName, error } of places) {
      // One that is complete elsewhere has failed here all the same.
      const hasFailed = phase === backupPhases.failed || error !== undefined;
      if (hasFailed && objectStore === metadata.name) note(serverName, stoppedAt);
    }
  }
  for (const { user, serverName } of users) {
    if (user.kind !== "Server") continue;
    for (const { phase, startedAt, stoppedAt, missing = [] } of readServerStatus(user.status).backups) {
      if (startedAt === undefined || stoppedAt === undefined) continue;
      const isMissing = missing.some(({ store: name }) => name === metadata.name);
      if (phase === backupPhases.failed || isMissing) note(serverName, stoppedAt);
    }
  }
  return failures;
}
