import { mkdir, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import { describeError, EngineError, systemErrorCode } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { instanceFolder } from "../../instance/instance-folder.ts";
import { instanceSpecSchema, type InstanceSpec } from "../../instance/instance-spec.ts";
import type { InstanceRequest, InstanceStatus } from "../../instance/instance-status.ts";
import { askInstance, readInstanceStatus } from "../../instance/process/instance-client.ts";
import { spawnInstance } from "../../instance/process/spawn-instance.ts";
import { parseControlFile } from "../../postgres/control-file.ts";
import type { Lsn } from "../../postgres/lsn.ts";
import { timelineId } from "../../postgres/timeline.ts";
import type { TimelineHistory } from "../../postgres/timeline-history.ts";
import { readHistory } from "../../instance/rescue/read-left-wal.ts";
import { AsideFolders, putAside, type AsideEntry, type AsideReason } from "./aside-folders.ts";
import { archivingDigest } from "../archiving-digest.ts";
import { namesIn } from "../names-in.ts";
import { formatKey, type ResourceKey } from "../resources/resource.ts";
import type { InstanceFacts } from "./cluster-facts.ts";
import { clusterFolders, clustersRoot, instanceNumber } from "./cluster-folders.ts";
import type { ClusterInstances, InstanceHandle } from "./cluster-instances.ts";
import { findProcesses, killAll } from "./instance-processes.ts";
import { choosePlace } from "./instance-place.ts";
import type { InstancePlace } from "./instance-specs.ts";

export interface LocalInstancesOptions {
  readonly stateDirectory: string;
  /** The command line that runs tidemark itself. */
  readonly program: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Called when an instance says something else than before. */
  readonly onChange: (cluster: ResourceKey) => void;
}

const pollMs = 2000;
const askTimeoutMs = 5000;
/** A checkpoint before a restart, or the end of a replay before a promotion, may take minutes. */
const slowTimeoutMs = 600_000;

interface Known {
  readonly cluster: ResourceKey;
  readonly name: string;
  readonly number: number;
  readonly folder: string;
  status: InstanceStatus | undefined;
  /** Of the status, without what changes all the time. */
  digest: string;
  /** Resolves when the process that is being started answers or has failed. */
  starting: Promise<unknown> | undefined;
  /** What it has been asked for that takes its time, and has not answered yet. */
  readonly pending: Set<InstanceRequest["op"]>;
}

/**
 * The instances of this machine: folders, and the processes that serve them. It asks every process every two seconds how it
 * is. Nothing here decides anything.
 */
export class LocalInstances implements ClusterInstances {
  readonly #options: LocalInstancesOptions;
  readonly #known = new Map<string, Known>();
  /** Ports that were given away, by folder: until its specification is written nothing else says whose they are. */
  readonly #given = new Map<string, number>();
  readonly #aside = new AsideFolders();
  #choosing: Promise<unknown> = Promise.resolve();

  constructor(options: LocalInstancesOptions) {
    this.#options = options;
  }

  /** Finds what an earlier control plane left. To be called once, before anything else. */
  async load(): Promise<void> {
    const root = clustersRoot(this.#options.stateDirectory);
    for (const namespace of await namesIn(root)) {
      for (const name of await namesIn(join(root, namespace))) {
        const cluster: ResourceKey = { kind: "Cluster", namespace, name };
        const { instances } = this.#folders(cluster);
        for (const instance of await namesIn(instances)) {
          // Killed, or out of space, before its specification was written: it is made again under the same name.
          if (await hasInstance(join(instances, instance))) this.#remember(cluster, instance);
        }
      }
    }
    await this.#pollAll();
  }

  /** Asks all of them again and again until the signal fires. Never rejects. */
  async poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#options.clock.sleep(pollMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.#pollAll();
    }
  }

  /** Clusters of which there are instances. */
  clusters(): readonly ResourceKey[] {
    const keys = new Map([...this.#known.values()].map(({ cluster }) => [formatKey(cluster), cluster]));
    return [...keys.values()];
  }

  of(cluster: ResourceKey): readonly InstanceHandle[] {
    return this.#of(cluster).map((known) => ({
      name: known.name,
      folder: known.folder,
      status: known.status,
      ask: async (request, options) => this.#ask(known, request, options?.timeoutMs),
    }));
  }

  async facts(cluster: ResourceKey): Promise<readonly InstanceFacts[]> {
    return Promise.all(
      this.#of(cluster).map(async ({ name, number, folder, status, starting }) => {
        const processes = await findProcesses(folder);
        const { data } = instanceFolder(folder);
        const timeline = status?.postgres?.timeline;
        return {
          name,
          number,
          spec: await this.#readSpec(folder),
          dataDirectory: data,
          status,
          isProcessAlive: status !== undefined || starting !== undefined || processes.instance !== undefined,
          isServerAlive: processes.server !== undefined,
          shutDownAtLsn: processes.server === undefined ? await shutDownAt(data) : undefined,
          history: timeline === undefined ? undefined : await historyOf(data, timeline),
        };
      }),
    );
  }

  /** Where a new instance is to be reached. One after the other: clusters that come up at the same time must not get the same port. */
  async place(cluster: ResourceKey, name: string): Promise<InstancePlace> {
    const folder = join(this.#folders(cluster).instances, name);
    const turn = this.#choosing.then(async () => this.#choosePlace(name, folder));
    this.#choosing = turn.catch(() => undefined);
    return turn;
  }

  async #choosePlace(name: string, folder: string): Promise<InstancePlace> {
    const others = [...this.#known.keys()].filter((other) => other !== folder);
    // A damaged specification is its own cluster's trouble.
    const specs = await Promise.all(
      others.map(async (other) => this.#readSpec(other).catch(() => undefined)),
    );
    const taken = new Set(specs.flatMap((spec) => (spec === undefined ? [] : [spec.port])));
    for (const [other, port] of this.#given) if (other !== folder) taken.add(port);
    const place = await choosePlace(name, folder, taken);
    this.#given.set(folder, place.port);
    return place;
  }

  /** Makes the folder if need be. A living process is told. */
  async writeSpec(cluster: ResourceKey, spec: InstanceSpec): Promise<void> {
    const folder = join(this.#folders(cluster).instances, spec.name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeDurableFile(instanceFolder(folder).spec, `${JSON.stringify(spec, undefined, 2)}\n`, 0o600);
    const known = this.#remember(cluster, spec.name);
    if (known?.status !== undefined) await this.#ask(known, { op: "configure" });
  }

  /** Asks for something that takes its time, unless that has been asked already; what comes of it shows in its status. */
  begin(cluster: ResourceKey, name: string, request: InstanceRequest): void {
    const known = this.#find(cluster, name);
    if (known === undefined || known.pending.has(request.op)) return;
    known.pending.add(request.op);
    // Never rejects.
    void this.#ask(known, request, slowTimeoutMs)
      .catch((error: unknown) => {
        this.#options.log.warn(`instance ${name} did not ${request.op}`, { error: describeError(error) });
      })
      .finally(() => known.pending.delete(request.op));
  }

  /** Starts the process of an instance; returns at once, and what comes of it shows in its status. */
  spawn(cluster: ResourceKey, name: string): void {
    const known = this.#find(cluster, name);
    if (known === undefined || known.starting !== undefined) return;
    const { program, log } = this.#options;
    const start = async (): Promise<void> => {
      try {
        await spawnInstance({ folder: known.folder, program });
      } catch (error) {
        log.warn(`could not start the process of instance ${name}`, { error: describeError(error) });
      }
      await this.#pollOne(known);
      known.starting = undefined;
      this.#options.onChange(cluster);
    };
    known.starting = start();
  }

  /**
   * Ends process and server of an instance, as `pg_ctl stop -m fast` does. One that is just being started is waited for, and a
   * server whose process is gone gets another, which stops it. Throws what asking throws.
   */
  async stop(cluster: ResourceKey, name: string, timeoutMs: number): Promise<void> {
    const known = this.#find(cluster, name);
    if (known === undefined) return;
    await known.starting;
    await this.#pollOne(known);
    const processes = await findProcesses(known.folder);
    if (known.status === undefined && processes.instance === undefined) {
      if (processes.server === undefined) return;
      this.spawn(cluster, name);
      await known.starting;
    }
    await this.#ask(known, { op: "stop", mode: "fast" }, timeoutMs);
  }

  /** Ends process and server of an instance at once, whatever they are doing; resolves when both are gone. */
  async kill(cluster: ResourceKey, name: string): Promise<void> {
    const known = this.#find(cluster, name);
    if (known === undefined) return;
    await known.starting;
    await killAll(known.folder);
    known.status = undefined;
  }

  /**
   * Ends an instance, by asking where somebody answers, and removes its folder, or puts it aside for a reason: then gives its new
   * place.
   */
  async remove(cluster: ResourceKey, name: string, aside?: AsideReason): Promise<string | undefined> {
    const known = this.#find(cluster, name);
    if (known === undefined) return undefined;
    await known.starting;
    if (known.status !== undefined) {
      await this.#ask(known, { op: "stop", mode: "fast" }, 120_000).catch(() => undefined);
    }
    await killAll(known.folder);
    let place: string | undefined;
    if (aside === undefined) {
      await rm(known.folder, { recursive: true, force: true });
    } else {
      const note = { reason: aside, owner: await this.owner(cluster), at: this.#options.clock.now() };
      place = await putAside(known.folder, this.#folders(cluster).aside, note);
    }
    this.#known.delete(known.folder);
    this.#given.delete(known.folder);
    return place;
  }

  /** What was put aside of a cluster; sizes are filled in as soon as they are known. */
  async aside(cluster: ResourceKey): Promise<readonly AsideEntry[]> {
    return this.#aside.list(this.#folders(cluster).aside, () => this.#options.onChange(cluster));
  }

  /** The uid of the Cluster that the instances are of; undefined where nobody has said so yet. */
  async owner(cluster: ResourceKey): Promise<string | undefined> {
    try {
      return (await readFile(this.#folders(cluster).owner, "utf8")).trim();
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Says durably that whatever there is, and is made from now on, is of the Cluster with this uid. */
  async own(cluster: ResourceKey, uid: string): Promise<void> {
    const { root, owner } = this.#folders(cluster);
    await mkdir(root, { recursive: true, mode: 0o700 });
    await writeDurableFile(owner, `${uid}\n`, 0o600);
  }

  /** Removes what is left of a cluster without instances, but for what was put aside. */
  async forget(cluster: ResourceKey): Promise<void> {
    const { root, instances, stores, owner } = this.#folders(cluster);
    for (const item of [instances, stores, owner]) await rm(item, { recursive: true, force: true });
    await rmdir(root).catch((error: unknown) => {
      if (!["ENOENT", "ENOTEMPTY"].includes(systemErrorCode(error) ?? "")) throw error;
    });
  }

  #folders(cluster: ResourceKey) {
    return clusterFolders(this.#options.stateDirectory, cluster);
  }

  #of({ namespace, name }: ResourceKey): readonly Known[] {
    return [...this.#known.values()]
      .filter(({ cluster }) => cluster.namespace === namespace && cluster.name === name)
      .toSorted((a, b) => a.number - b.number);
  }

  #find(cluster: ResourceKey, name: string): Known | undefined {
    return this.#of(cluster).find((known) => known.name === name);
  }

  #remember(cluster: ResourceKey, name: string): Known | undefined {
    const folder = join(this.#folders(cluster).instances, name);
    const number = instanceNumber(cluster.name, name);
    const present = this.#known.get(folder);
    if (present !== undefined || number === undefined) return present;
    const known: Known = {
      cluster,
      name,
      number,
      folder,
      status: undefined,
      digest: "",
      starting: undefined,
      pending: new Set(),
    };
    this.#known.set(folder, known);
    return known;
  }

  async #readSpec(folder: string): Promise<InstanceSpec | undefined> {
    const { spec: path } = instanceFolder(folder);
    try {
      return instanceSpecSchema.parse(JSON.parse(await readFile(path, "utf8")));
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw new EngineError("file-io", `"${path}" is damaged: ${describeError(error)}`, {
        hint: "Delete the instance's folder if the cluster has others; otherwise bring the file back from a backup.",
      });
    }
  }

  async #ask(known: Known, request: InstanceRequest, timeoutMs = askTimeoutMs): Promise<unknown> {
    try {
      return await askInstance(known.folder, request, { timeoutMs });
    } finally {
      // What was asked changes what it says.
      void this.#pollOne(known);
    }
  }

  async #pollAll(): Promise<void> {
    await Promise.all([...this.#known.values()].map(async (known) => this.#pollOne(known)));
  }

  /** Never rejects. */
  async #pollOne(known: Known): Promise<void> {
    known.status = await readInstanceStatus(known.folder, askTimeoutMs).catch(() => undefined);
    const digest = digestOf(known.status);
    if (digest === known.digest) return;
    known.digest = digest;
    this.#options.onChange(known.cluster);
  }
}

/** What somebody may want to act on; positions and counters change all the time. */
function digestOf(status: InstanceStatus | undefined): string {
  if (status === undefined) return "";
  const {
    phase,
    error,
    activity,
    specVersion,
    postgres,
    archiving,
    archivingError,
    backups,
    recovery,
    trouble,
    rescue,
  } = status;
  return JSON.stringify([
    phase,
    error,
    activity,
    specVersion,
    recovery,
    archivingError,
    postgres && [postgres.pid, postgres.role, postgres.timeline, postgres.pendingRestart],
    // Of a primary how many follow it; of a standby whether it does.
    postgres?.replication.map(({ name, state }) => [name, state]),
    trouble,
    rescue,
    archivingDigest(archiving),
    backups,
  ]);
}

/** Of its control file: the last record of a clean shutdown is its checkpoint. */
async function shutDownAt(dataDirectory: string): Promise<Lsn | undefined> {
  try {
    const path = join(dataDirectory, "global", "pg_control");
    const { state, checkpointLsn } = parseControlFile(await readFile(path), path);
    return state === "shut down" ? checkpointLsn : undefined;
  } catch {
    // None there yet, or a damaged one: then nobody can tell.
    return undefined;
  }
}

async function historyOf(dataDirectory: string, timeline: number): Promise<TimelineHistory | undefined> {
  try {
    return await readHistory(join(dataDirectory, "pg_wal"), timelineId(timeline));
  } catch {
    // A timeline that is just being begun has none yet, and what is damaged tells nobody anything.
    return undefined;
  }
}

async function hasInstance(folder: string): Promise<boolean> {
  const names = await namesIn(folder);
  return names.includes("instance.json") || names.includes("data");
}
