import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { writeDurableFile } from "../../common/durable-file.ts";
import { describeError, EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { askAttached, readAttachedStatus, spawnAttached } from "../../instance/attached/attached-client.ts";
import { attachedFolder } from "../../instance/attached/attached-folder.ts";
import { readAttachedSpec, type AttachedSpec } from "../../instance/attached/attached-spec.ts";
import type { AttachedRequest, AttachedStatus } from "../../instance/attached/attached-status.ts";
import { GrowingPause } from "../../instance/process/growing-pause.ts";
import { isAlive, sendSignal } from "../../postgres/server-process-tree.ts";
import { livingProcess } from "../clusters/instance-processes.ts";
import { archivingDigest } from "../archiving-digest.ts";
import { namesIn } from "../names-in.ts";
import { keyId, type ResourceKey } from "../resources/resource.ts";
import { serverFolder, serversRoot } from "./server-folder.ts";
import { archiverFailure } from "./server-health.ts";

export interface LocalServersOptions {
  readonly stateDirectory: string;
  /** The command line that runs tidemark itself. */
  readonly program: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the process beside a server says something else than before. */
  readonly onChange: (server: ResourceKey) => void;
}

/** What there is beside a server. */
export interface AgentFacts {
  /** What its process is to do; undefined before it was written, and when it cannot be read. */
  readonly spec: AttachedSpec | undefined;
  /** What the process said last; undefined while it does not answer. */
  readonly status: AttachedStatus | undefined;
  /** Whether there is one, or one is being started. */
  readonly isAlive: boolean;
  /** For how long none is to be started again, because the last one has ended; 0 when one may. */
  readonly restMs: number;
  /** Why none could be started. */
  readonly failure: string | undefined;
}

interface Known {
  readonly server: ResourceKey;
  readonly folder: string;
  spec: AttachedSpec | undefined;
  status: AttachedStatus | undefined;
  /** Of the status, without what changes all the time. */
  digest: string;
  /** Resolves when the process that is being started answers or has failed. */
  starting: Promise<void> | undefined;
  readonly pause: GrowingPause;
  /** When one was started last, and until when the next one has to wait. */
  startedMs: number | undefined;
  notBeforeMs: number;
  failure: string | undefined;
}

const pollMs = 2000;
const askTimeoutMs = 5000;
/** It gives pushes under way and a running backup ten seconds each. */
const endLimitMs = 30_000;

/** The processes beside the servers of this machine that are not ours. Asks each every two seconds; nothing here decides anything. */
export class LocalServers {
  readonly #options: LocalServersOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: LocalServersOptions) {
    this.#options = options;
  }

  /** Finds what an earlier control plane left. To be called once, before anything else. */
  async load(): Promise<void> {
    const root = serversRoot(this.#options.stateDirectory);
    for (const namespace of await namesIn(root)) {
      for (const name of await namesIn(join(root, namespace))) {
        const known = this.#remember({ kind: "Server", namespace, name });
        // One that is missing or damaged is written anew.
        known.spec = await readAttachedSpec(attachedFolder(known.folder)).catch(() => undefined);
      }
    }
    await this.#pollAll();
  }

  /** Asks all of them again and again until the signal fires. Never rejects. */
  async poll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (;;) {
      await clock.sleep(pollMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.#pollAll();
    }
  }

  /** Servers of which there is anything. */
  servers(): readonly ResourceKey[] {
    return [...this.#known.values()].map(({ server }) => server);
  }

  /** What the process beside it said last; undefined when it does not answer. */
  status(server: ResourceKey): AttachedStatus | undefined {
    return this.#find(server)?.status;
  }

  async facts(server: ResourceKey): Promise<AgentFacts> {
    const known = this.#find(server);
    if (known === undefined) {
      return { spec: undefined, status: undefined, isAlive: false, restMs: 0, failure: undefined };
    }
    const { spec, status, starting, failure } = known;
    const isAlive =
      status !== undefined || starting !== undefined || (await this.#pidOf(known)) !== undefined;
    if (!isAlive) this.#noteEnd(known);
    const restMs = Math.max(0, known.notBeforeMs - this.#options.clock.monotonicMs());
    return { spec, status, isAlive, restMs, failure };
  }

  /** Makes the folder if need be. A living process is told. */
  async writeSpec(server: ResourceKey, spec: AttachedSpec): Promise<void> {
    const known = this.#remember(server);
    const folder = attachedFolder(known.folder);
    await mkdir(folder.root, { recursive: true, mode: 0o700 });
    await writeDurableFile(folder.spec, `${JSON.stringify(spec, undefined, 2)}\n`, 0o600);
    known.spec = spec;
    known.pause.reset();
    known.notBeforeMs = Number.NEGATIVE_INFINITY;
    if (known.status !== undefined) await this.ask(server, { op: "configure" });
  }

  /** Starts the process; returns at once, and what comes of it shows in its status. */
  spawn(server: ResourceKey): void {
    const known = this.#find(server);
    if (known === undefined || known.starting !== undefined) return;
    const { program, clock, log, onChange } = this.#options;
    known.startedMs = clock.monotonicMs();
    const start = async (): Promise<void> => {
      try {
        await spawnAttached({ folder: known.folder, program });
        known.failure = undefined;
      } catch (error) {
        known.failure = describeError(error);
        log.warn(`could not start the agent of server ${server.name}`, { error: known.failure });
      }
      await this.#pollOne(known);
      known.starting = undefined;
      onChange(server);
    };
    known.starting = start();
  }

  /** Throws `agent-unreachable`, or what it answers. */
  async ask(server: ResourceKey, request: AttachedRequest): Promise<unknown> {
    const known = this.#find(server);
    if (known === undefined) {
      throw new EngineError("agent-unreachable", `no agent runs beside Server "${server.name}"`);
    }
    try {
      return await askAttached(known.folder, request, { timeoutMs: askTimeoutMs });
    } finally {
      // What was asked changes what it says.
      void this.#pollOne(known);
    }
  }

  /** Whether a process serves it, answering or not. */
  async isAlive(server: ResourceKey): Promise<boolean> {
    const known = this.#find(server);
    return known !== undefined && (await this.#pidOf(known)) !== undefined;
  }

  /** Ends the process beside a server: by asking, and when that does not help by force. Resolves when it is gone. */
  async stop(server: ResourceKey): Promise<void> {
    const known = this.#find(server);
    if (known === undefined) return;
    await known.starting;
    const pid = await this.#pidOf(known);
    if (pid !== undefined) await this.#end(known, pid);
    known.status = undefined;
    known.startedMs = undefined;
  }

  /** Ends the process and removes the folder with its credentials. Stores, spool and data directory stay as they are. */
  async remove(server: ResourceKey): Promise<void> {
    await this.stop(server);
    const folder = serverFolder(this.#options.stateDirectory, server);
    await rm(folder, { recursive: true, force: true });
    this.#known.delete(keyId(server));
  }

  async #end({ folder }: Known, pid: number): Promise<void> {
    const { clock } = this.#options;
    const beganMs = clock.monotonicMs();
    await askAttached(folder, { op: "stop" }, { timeoutMs: askTimeoutMs }).catch(() => undefined);
    while (await isAlive(pid)) {
      const waitedMs = clock.monotonicMs() - beganMs;
      if (waitedMs > 2 * endLimitMs) {
        throw new EngineError("locked", `process ${pid} of "${folder}" does not end`, {
          hint: "A process that waits for a broken disk cannot be killed; look at the system's log.",
        });
      }
      if (waitedMs > endLimitMs) sendSignal(pid, "SIGKILL");
      await clock.sleep(50);
    }
  }

  #find(server: ResourceKey): Known | undefined {
    return this.#known.get(keyId(server));
  }

  #remember(server: ResourceKey): Known {
    const present = this.#find(server);
    if (present !== undefined) return present;
    const known: Known = {
      server,
      folder: serverFolder(this.#options.stateDirectory, server),
      spec: undefined,
      status: undefined,
      digest: "",
      starting: undefined,
      pause: new GrowingPause(),
      startedMs: undefined,
      notBeforeMs: Number.NEGATIVE_INFINITY,
      failure: undefined,
    };
    this.#known.set(keyId(server), known);
    return known;
  }

  async #pidOf({ folder }: Known): Promise<number | undefined> {
    return livingProcess(attachedFolder(folder).process, folder);
  }

  /** It was started, and is not there any more: the next one waits, the longer the shorter it lived. */
  #noteEnd(known: Known): void {
    if (known.startedMs === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    known.notBeforeMs = nowMs + known.pause.afterFailure(nowMs - known.startedMs);
    known.startedMs = undefined;
  }

  async #pollAll(): Promise<void> {
    await Promise.all([...this.#known.values()].map(async (known) => this.#pollOne(known)));
  }

  /** Never rejects. */
  async #pollOne(known: Known): Promise<void> {
    known.status = await readAttachedStatus(known.folder, askTimeoutMs).catch(() => undefined);
    if (known.status !== undefined) known.startedMs ??= this.#options.clock.monotonicMs();
    const digest = digestOf(known.status);
    if (digest === known.digest) return;
    known.digest = digest;
    this.#options.onChange(known.server);
  }
}

/** What somebody may want to act on; positions and counters change all the time. */
function digestOf(status: AttachedStatus | undefined): string {
  if (status === undefined) return "";
  const { pid, specVersion, systemIdentifier, postgres, postgresError, archiving, archivingError, backups } =
    status;
  return JSON.stringify([
    pid,
    specVersion,
    systemIdentifier,
    postgresError,
    archivingError,
    postgres && { ...postgres, archiver: archiverFailure(postgres) },
    archivingDigest(archiving),
    backups,
  ]);
}
