import { join } from "node:path";
import { requireLocalSystem } from "../../agent/local-system.ts";
import { readControlFile } from "../../backup/backup-source.ts";
import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import { findServerBinaries, type ServerBinaries } from "../../postgres/server-binaries.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { adoptServer, startServer } from "../../postgres/server.ts";
import type { Settings } from "../../postgres/settings-file.ts";
import { bootstrapInstance } from "../bootstrap/bootstrap-instance.ts";
import type { PlannedRecovery } from "../bootstrap/bootstrap-options.ts";
import { superuser } from "../configuration/authentication.ts";
import { writeCommandConfiguration } from "../configuration/command-configuration.ts";
import { exists, removeFile } from "../configuration/own-files.ts";
import { askedFile } from "../configuration/standby-restore.ts";
import { startSettings } from "../configuration/start-settings.ts";
import { writeConfiguration } from "../configuration/write-configuration.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import type { InstanceStatus } from "../instance-status.ts";
import { notePromotion, prepareRole } from "./server-role.ts";
import { makeSocketDirectory } from "./socket-directory.ts";
import { holdTakenTimelines, releaseTimelines } from "./taken-timelines.ts";

export interface ServerActionsOptions {
  readonly folder: InstanceFolder;
  /** The command line that runs this program. */
  readonly program: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** What the supervisor does to the world. Each can be repeated after a failure at any point. */
export class ServerActions {
  readonly #options: ServerActionsOptions;
  /** What the server would be started with now. */
  commandLine: Settings = {};

  constructor(options: ServerActionsOptions) {
    this.#options = options;
  }

  /** Whether there is a data directory; one that was not finished has another name. What hinders looking is for the start to say. */
  async isMade(): Promise<boolean> {
    return exists(join(this.#options.folder.data, "global", "pg_control")).catch(() => true);
  }

  async bootstrap(
    spec: InstanceSpec,
    options: {
      readonly onActivity: (activity: string) => void;
      readonly onPlan: (plan: PlannedRecovery) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<InstanceStatus["recovery"]> {
    const binaries = await this.#binaries(spec);
    const report = await bootstrapInstance({ ...this.#options, ...options, spec, binaries });
    return report.recovery;
  }

  /** The server that runs on the data directory, or undefined. */
  async adopt(): Promise<RunningServer | undefined> {
    const { folder } = this.#options;
    return adoptServer({ dataDirectory: folder.data, logFile: folder.serverLog, superuser });
  }

  /** Starts the server, and does not wait until it accepts connections. */
  async start(spec: InstanceSpec, signal: AbortSignal): Promise<RunningServer> {
    const { folder } = this.#options;
    const binaries = await this.#binaries(spec);
    await prepareRole(folder, spec);
    if (await exists(join(folder.data, "standby.signal"))) await releaseTimelines(folder);
    await this.configure(spec, signal);
    await removeFile(askedFile(folder));
    await makeSocketDirectory(spec.socketDirectory);
    return startServer({
      binaries,
      dataDirectory: folder.data,
      settings: this.commandLine,
      port: spec.port,
      socketDirectory: spec.socketDirectory,
      logFile: folder.serverLog,
      superuser,
      readyTimeoutMs: 0,
      signal,
    });
  }

  /** Writes everything that server and fallback commands read; the server has to be told. */
  async configure(spec: InstanceSpec, signal: AbortSignal): Promise<void> {
    const { folder, program, clock, log } = this.#options;
    const { ignored, raised } = await writeConfiguration({ folder, spec, clock, signal });
    await writeCommandConfiguration(folder, spec, program);
    const { systemIdentifier } = await requireLocalSystem(folder.data);
    this.commandLine = startSettings(folder, spec, systemIdentifier);
    if (ignored.length > 0) {
      log.warn("parameters that the instance decides itself were not taken", { parameters: ignored });
    }
    if (Object.keys(raised).length > 0) {
      log.info("parameters are as high as on the server whose WAL is replayed", { parameters: raised });
    }
  }

  /** Makes the server read its files again, as soon as it can be told without harm. */
  async reload(server: RunningServer, signal: AbortSignal): Promise<void> {
    // Before it has written its postmaster.pid the signal may still end it.
    while (server.exit === undefined && (await server.status()) === undefined) {
      await this.#options.clock.sleep(20, signal);
    }
    if (server.exit === undefined) server.reload();
  }

  /** Makes a standby a primary and waits until it accepts writes. Nothing happens to one that is a primary. */
  async promote(spec: InstanceSpec, server: RunningServer, signal: AbortSignal): Promise<void> {
    const { folder, clock, log } = this.#options;
    const { control } = await readControlFile(folder.data, clock, signal);
    if (control.state === "in production") return;
    await notePromotion(folder, spec);
    const { archive } = spec;
    if (archive !== undefined) {
      await holdTakenTimelines({ folder, archive, timeline: control.timeline, log, signal });
    }
    log.info("promoting", { timeline: control.timeline });
    await server.promote();
    await server.waitUntilPromoted({ signal });
    log.info("promoted");
  }

  async #binaries({ major, binDirectory }: InstanceSpec): Promise<ServerBinaries> {
    return findServerBinaries({ major, binDirectory });
  }
}
