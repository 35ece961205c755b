import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { describeError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { namespaceReconciler } from "./admission/namespaces.ts";
import { BackupReconciler } from "./backups/backup-reconciler.ts";
import { summarizeBackups } from "./backups/cluster-backup-summary.ts";
import { ClusterReconciler } from "./clusters/cluster-reconciler.ts";
import { LocalInstances } from "./clusters/local-instances.ts";
import { OpenedRepositories } from "./clusters/opened-repositories.ts";
import { createExternalSecretReconciler } from "./external-secrets/external-secret-reconciler.ts";
import type { SecretProviders } from "./external-secrets/secret-provider.ts";
import { runReconcilers, type RunningReconcilers } from "./loop/run-reconcilers.ts";
import { WindowTable } from "./maintenance/cluster-windows.ts";
import { healWork } from "./maintenance/heal-work.ts";
import { IntervalWorks } from "./maintenance/interval-work.ts";
import { retentionWork, systemOfCluster } from "./maintenance/retention-work.ts";
import { windowsWork, windowsWorkName } from "./maintenance/windows-work.ts";
import type { ResourceStore } from "./resources/resource-store.ts";
import { keyOf, type Resource, type ResourceKey } from "./resources/resource.ts";
import { openResourceStore } from "./resources/sqlite-resource-store.ts";
import { ScheduleReconciler } from "./schedules/schedule-reconciler.ts";
import { LocalServers } from "./servers/local-servers.ts";
import { systemOfServer } from "./servers/server-health.ts";
import { ServerReconciler } from "./servers/server-reconciler.ts";
import { unsupportedReconciler } from "./unsupported/unsupported-reconciler.ts";
import { ObjectStoreReconciler } from "./stores/object-store-reconciler.ts";

export interface ControlPlaneOptions {
  /** It exists, and belongs to us. */
  readonly stateDirectory: string;
  /** The command line that runs tidemark itself. */
  readonly program: readonly string[];
  /** Where the values of ExternalSecrets come from. */
  readonly secretProviders: SecretProviders;
  readonly clock: Clock;
  readonly log: Log;
}

/** Everything that `tidemark up` runs but for its API. Disposing ends it; instances and their servers go on. */
export interface ControlPlane extends AsyncDisposable {
  readonly store: ResourceStore;
  readonly instances: LocalInstances;
  readonly servers: LocalServers;
  readonly repositories: OpenedRepositories;
  /**
   * Reconciles no more, then stops every instance with its server, and the agents beside servers that are not ours. Gives
   * what could not be stopped, and why.
   */
  stopInstances(): Promise<readonly InstanceFailure[]>;
}

export interface InstanceFailure {
  readonly instance: string;
  readonly error: string;
}

/** A server writes what it has in memory first, and archives its last segments. */
const stopTimeoutMs = 300_000;

/**
 * Starts the control plane on a state directory: opens its objects, finds the instances that an earlier one left, and
 * reconciles from then on. Throws `locked` when another one has the directory, and what opening the objects throws.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { stateDirectory, program, secretProviders, clock, log } = options;
  const store = await openResourceStore({
    path: join(stateDirectory, "control.db"),
    keyFile: join(stateDirectory, "secret.key"),
    clock,
    log,
  });
  const stop = new AbortController();
  const { signal } = stop;
  let reconcilers: RunningReconcilers | undefined;
  const look = (kind: string, key: ResourceKey): void => reconcilers?.trigger(kind, key);
  const instances = new LocalInstances({
    stateDirectory,
    program,
    clock,
    log,
    onChange: (cluster) => {
      look("Cluster", cluster);
      // What a Backup waits for shows in what its cluster's instances say.
      const { namespace } = cluster;
      for (const { metadata } of store.list({ kind: "Backup", namespace })) {
        look("Backup", { kind: "Backup", namespace, name: metadata.name });
      }
    },
  });
  const servers = new LocalServers({
    stateDirectory,
    program,
    clock,
    log,
    onChange: (server) => look("Server", server),
  });
  const repositories = new OpenedRepositories({ store, stateDirectory, log, signal });
  const windows = new WindowTable();
  const systemOf = (owner: Resource) =>
    owner.kind === "Server"
      ? systemOfServer(servers.status(keyOf(owner)))
      : systemOfCluster(owner, instances);
  const works: IntervalWorks = new IntervalWorks({
    store,
    works: [
      windowsWork({
        store,
        repositories,
        table: windows,
        clock,
        log,
        onRead: (owner) => {
          look(owner.kind, owner);
          const { namespace } = owner;
          for (const { metadata } of store.list({ kind: "ObjectStore", namespace })) {
            look("ObjectStore", { kind: "ObjectStore", namespace, name: metadata.name });
          }
        },
      }),
      retentionWork({
        store,
        repositories,
        systemOf,
        clock,
        onDeleted: (cluster) => works.request(cluster, windowsWorkName),
      }),
      healWork({
        store,
        repositories,
        systemOf,
        clock,
        log,
        onHealed: (cluster) => works.request(cluster, windowsWorkName),
      }),
    ],
    clock,
    log,
    random: Math.random,
  });
  try {
    await Promise.all([instances.load(), servers.load()]);
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
  reconcilers = runReconcilers({
    store,
    reconcilers: [
      namespaceReconciler(store),
      unsupportedReconciler("RestoreDrill", { store, clock, outlook: "drills come with the drill command" }),
      createExternalSecretReconciler({ store, providers: secretProviders, clock, signal }),
      new ObjectStoreReconciler({ store, windows, clock }),
      new ClusterReconciler({
        store,
        instances,
        stateDirectory,
        backupReport: (cluster) => {
          const { namespace } = cluster.metadata;
          return summarizeBackups({
            cluster,
            backups: store.list({ kind: "Backup", namespace }),
            windows: windows.of(cluster),
          });
        },
        clock,
        log,
      }),
      new ServerReconciler({
        store,
        servers,
        stateDirectory,
        windows,
        onBackupEnded: (server) => works.request(server, windowsWorkName),
        clock,
        log,
      }),
      new ScheduleReconciler({ store, clock, log }),
      new BackupReconciler({
        store,
        instances,
        clock,
        log,
        onFinished: (cluster) => works.request(cluster, windowsWorkName),
      }),
    ],
    clock,
    log,
    signal,
  });
  // Deleted while nobody looked: nothing else would ever look at them again.
  for (const cluster of instances.clusters()) look("Cluster", cluster);
  for (const server of servers.servers()) look("Server", server);
  const running = Promise.all([
    reconcilers.ended,
    works.run(signal),
    instances.poll(signal),
    servers.poll(signal),
  ]);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return {
    store,
    instances,
    servers,
    repositories,
    stopInstances: async () => {
      // First, or it would start again what is being stopped.
      await end();
      return (await Promise.all([stopAll(instances), stopAgents(servers)])).flat();
    },
    [Symbol.asyncDispose]: async () => {
      await end();
      await repositories[Symbol.asyncDispose]();
      store[Symbol.dispose]();
    },
  };
}

async function stopAll(instances: LocalInstances): Promise<readonly InstanceFailure[]> {
  const all = instances
    .clusters()
    .flatMap((cluster) => instances.of(cluster).map(({ name }) => ({ cluster, name })));
  return failuresOf(all, async ({ cluster, name }) => instances.stop(cluster, name, stopTimeoutMs));
}

async function stopAgents(servers: LocalServers): Promise<readonly InstanceFailure[]> {
  return failuresOf(servers.servers(), async (server) => servers.stop(server));
}

async function failuresOf<Item extends { readonly name: string }>(
  items: readonly Item[],
  stop: (item: Item) => Promise<void>,
): Promise<readonly InstanceFailure[]> {
  const failures = await Promise.all(
    items.map(async (item) => {
      try {
        await stop(item);
        return undefined;
      } catch (error) {
        return { instance: item.name, error: describeError(error) };
      }
    }),
  );
  return failures.filter((failure) => failure !== undefined);
}
