import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { valueAt } from "../../manifest/manifest-object.ts";
import { openableArchive, type OpenableArchive } from "../clusters/openable-archive.ts";
import type { Resolution } from "../clusters/store-resolution.ts";
import type { Again, Reconciler } from "../loop/reconciler.ts";
import type { ClusterWindows } from "../maintenance/cluster-windows.ts";
import { withCondition } from "../resources/conditions.ts";
import type { ResourceChange, ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { inspectDataDirectory, type OtherServer } from "./data-directory.ts";
import { decideAgent, type AgentAction, type AgentDecision } from "./decide-agent.ts";
import { decideServerBackups, type ServerBackupDecision } from "./decide-server-backups.ts";
import type { LocalServers } from "./local-servers.ts";
import { archiveOfServer } from "./server-archive.ts";
import { serverConnection } from "./server-connection.ts";
import { serverFolder } from "./server-folder.ts";
import { judgeServer, type ServerHealth } from "./server-health.ts";
import { serverStatus } from "./server-report.ts";
import { readServerStatus } from "./server-status.ts";
import { viewServer, type ServerView } from "./server-view.ts";

export interface ServerReconcilerOptions {
  readonly store: ResourceStore;
  readonly servers: LocalServers;
  readonly stateDirectory: string;
  readonly windows: ClusterWindows;
  /** Called when a base backup of the Server has ended, well or not. */
  readonly onBackupEnded: (server: ResourceKey) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Servers: first the process beside the server, then schedules, base backups and the status by what that process says. */
export class ServerReconciler implements Reconciler {
  readonly kind = "Server";
  readonly #options: ServerReconcilerOptions;

  constructor(options: ServerReconcilerOptions) {
    this.#options = options;
  }

  /** Everything that a Server may name lies in its own namespace. */
  affectedBy({ resource }: ResourceChange): readonly ResourceKey[] {
    if (!["ObjectStore", "Secret"].includes(resource.kind)) return [];
    const { namespace } = resource.metadata;
    return this.#options.store.list({ kind: this.kind, namespace }).map(keyOf);
  }

  async reconcile(key: ResourceKey, signal: AbortSignal): Promise<Again> {
    const { store, servers, log } = this.#options;
    const resource = store.get(key);
    if (resource === undefined) {
      // Also of one that was never begun: there may be credentials in its folder.
      await servers.remove(key);
      log.info("removed what was kept of a deleted server", { server: formatKey(key) });
      return "never";
    }
    let view: ServerView;
    try {
      view = viewServer(resource);
    } catch (error) {
      store.setStatus(key, invalidStatus(resource, describeError(error), this.#options.clock.now()), {
        ifUid: resource.metadata.uid,
      });
      return "never";
    }
    const decision = await this.#decideAgent(view);
    for (const action of decision.actions) await this.#act(key, action);
    return this.#settle(view, decision, signal);
  }

  async #decideAgent(view: ServerView): Promise<AgentDecision> {
    const { store, servers, stateDirectory } = this.#options;
    const folder = serverFolder(stateDirectory, view.key);
    return decideAgent({
      view,
      problem: await inspectDataDirectory(view.spec.dataDirectory, {
        stateDirectory,
        others: olderServers(view.resource, store.list({ kind: this.kind })),
      }),
      archive: await this.#archive(view, folder),
      connection: await serverConnection(view, { store, directory: folder }),
      agent: await servers.facts(view.key),
    });
  }

  async #archive(view: ServerView, folder: string): Promise<Resolution<OpenableArchive>> {
    const { store } = this.#options;
    const archive = archiveOfServer(view, store);
    if (archive.kind === "missing") return archive;
    const { namespace } = view.key;
    return openableArchive(archive.value, { store, namespace, directory: join(folder, "stores") });
  }

  async #act(key: ResourceKey, action: AgentAction): Promise<void> {
    const { servers } = this.#options;
    switch (action.kind) {
      case "write-spec":
        return servers.writeSpec(key, action.spec);
      case "configure":
        await servers.ask(key, { op: "configure" });
        return;
      case "spawn":
        return servers.spawn(key);
      case "stop":
        return action.forget ? servers.remove(key) : servers.stop(key);
    }
  }

  /** From reading the status to writing it nothing waits: what others add to it meanwhile, such as a backup that is asked for, stays. */
  async #settle(view: ServerView, { trouble, afterMs }: AgentDecision, signal: AbortSignal): Promise<Again> {
    const { store, servers, windows, onBackupEnded, clock } = this.#options;
    const { key } = view;
    const resource = store.get(key);
    // Deleted, or changed: that is looked at next.
    if (resource?.metadata.uid !== view.resource.metadata.uid) return { afterMs: 0 };
    const now = clock.now();
    const remembered = readServerStatus(resource.status);
    const status = servers.status(key);
    const health = judgeServer(trouble, status);
    const backups = decideServerBackups({
      createdAt: new Date(resource.metadata.creationTimestamp),
      schedules: view.spec.schedules ?? [],
      scheduleStatuses: remembered.schedules,
      backups: remembered.backups,
      jobs: status?.backups,
      trouble: health.backupTrouble,
      now,
    });
    const { generation, uid } = view.resource.metadata;
    const facts = { generation, remembered, health, status, backups, windows: windows.of(resource), now };
    const written = store.setStatus(key, serverStatus(facts), { ifUid: uid });
    if (written === undefined) return "never";
    this.#announce(written, health, valueAt(resource.status, ["phaseReason"]));
    for (const event of backups.events) store.recordEvent({ about: written, ...event });
    if (backups.hasEnded) onBackupEnded(key);
    await this.#tell(key, backups, signal);
    return { afterMs: Math.min(afterMs, backups.afterMs) };
  }

  /** What is wrong, once; that an agent is being started is no trouble. */
  #announce(about: Resource, { ready, phaseReason: message }: ServerHealth, before: unknown): void {
    const reason = ready.status === "True" ? "ArchivingFails" : ready.reason;
    if (message === undefined || message === before || reason === "AgentNotRunning") return;
    this.#options.store.recordEvent({ about, type: "Warning", reason, message });
  }

  async #tell(key: ResourceKey, { tell }: ServerBackupDecision, signal: AbortSignal): Promise<void> {
    const { servers, log } = this.#options;
    for (const request of tell) {
      if (signal.aborted) return;
      try {
        await servers.ask(key, request);
      } catch (error) {
        // It is told again with the next look.
        log.debug(`the agent of ${formatKey(key)} did not take a request`, {
          request: request.op,
          error: describeError(error),
        });
      }
    }
  }
}

function invalidStatus(resource: Resource, message: string, now: Date): Readonly<Record<string, unknown>> {
  const ready = { type: "Ready", status: "False", reason: "InvalidServer", message } as const;
  const conditions = withCondition(readServerStatus(resource.status).conditions, ready, now);
  return { ...resource.status, phase: "Invalid", phaseReason: message, conditions };
}

/** Of two Servers with one data directory the older one has it; of two made in one second, the first by name. */
function olderServers(resource: Resource, all: readonly Resource[]): readonly OtherServer[] {
  const rank = ({ metadata }: Resource): string =>
    JSON.stringify([metadata.creationTimestamp, metadata.namespace, metadata.name]);
  return all.flatMap((other) => {
    const dataDirectory = valueAt(other.content, ["spec", "dataDirectory"]);
    const isOlder = other.metadata.uid !== resource.metadata.uid && rank(other) < rank(resource);
    return isOlder && typeof dataDirectory === "string" ? [{ key: keyOf(other), dataDirectory }] : [];
  });
}
