import type { BackupResult } from "../../backup/backup-result.ts";
import type { Clock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { limitLogs } from "../../common/limited-logs.ts";
import { readBootstrapReport } from "../bootstrap/bootstrap-report.ts";
import { pushCommand } from "../configuration/command-configuration.ts";
import { standbyFetchCommand } from "../configuration/standby-restore.ts";
import { parseLsn } from "../../postgres/lsn.ts";
import { instanceFolder, type InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import type { InstanceRequest, InstanceStatus, StandbyTrouble } from "../instance-status.ts";
import { RescueDesk } from "../rescue/rescue-desk.ts";
import { Archiving, type ArchivingOrder } from "./archiving.ts";
import { BackupDesk, type BackupOrder } from "./backup-desk.ts";
import { BackupJobs } from "./backup-jobs.ts";
import { requireFreshArchive } from "./empty-archive.ts";
import { PrimarySlot } from "./follow-primary.ts";
import { lockFolder } from "./folder-lock.ts";
import { following } from "./following.ts";
import { parseInstanceRequest } from "./instance-request.ts";
import { listenInFolder } from "./listen-in-folder.ts";
import { removeProcessState } from "./process-file.ts";
import { ServerActions } from "./server-actions.ts";
import { readInstanceSpec } from "./spec-file.ts";
import { StandbyPrefetch } from "./standby-prefetch.ts";
import { StandbyLog } from "./standby-log.ts";
import { Supervisor, type SupervisorReport } from "./supervisor.ts";
import { takeBackup } from "./take-backup.ts";

export interface RunInstanceOptions {
  /** The instance's folder. */
  readonly folder: string;
  /** The command line that runs this program: PostgreSQL's own commands run it when this process is not there. */
  readonly program: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Ends archiving and backups, and leaves PostgreSQL running: the next process takes it up. `stop` ends both. */
  readonly signal: AbortSignal;
}

/**
 * The process of one PostgreSQL instance: brings it to what `instance.json` says and keeps it there, archives its WAL, takes its
 * base backups, and answers (`instance-client.ts`). Resolves when it was told to end.
 *
 * It may be killed at any moment: the server goes on, and the next process finds it, its jobs and its acknowledgements on disk.
 *
 * @throws EngineError `config` when there is no readable `instance.json`, `locked` when another process serves the folder,
 * `file-io`.
 */
export async function runInstance(options: RunInstanceOptions): Promise<void> {
  const { program, clock, signal } = options;
  const folder = instanceFolder(options.folder);
  const spec = await readInstanceSpec(folder);
  using _lock = await lockFolder(folder);
  const log = options.log.child({ cluster: spec.cluster, instance: spec.name });
  const startedAt = clock.now().toISOString();

  const jobs = await BackupJobs.open(folder.backups, log);
  const desk = new BackupDesk({ jobs, instance: spec.name, take: takeOne, clock, log });
  await desk.recover();
  let followed = spec;
  const archiving = new Archiving({
    pushCommand: pushCommand(program, folder),
    beforeWriting: async (repositories, stop) => requireFreshArchive(folder, followed, repositories, stop),
    clock,
    log,
  });
  const slot = new PrimarySlot({ clock, log });
  const prefetch = new StandbyPrefetch({
    folder,
    fetchCommand: standbyFetchCommand(program, folder),
    clock,
    log,
  });
  const standbyLog = await StandbyLog.open(folder.serverLog);
  const supervisor = new Supervisor({
    spec,
    recovery: (await readBootstrapReport(folder))?.recovery,
    actions: new ServerActions({ folder, program, clock, log }),
    onMade: (current) => {
      followed = current;
      archiving.follow(archivingOrder(folder, current));
      slot.follow(current);
      prefetch.follow(current);
    },
    beforeStop: async (reason) => desk.cancel(reason),
    clock,
    log,
  });

  const rescue = await RescueDesk.open({
    folder,
    spec: () => supervisor.spec,
    isPrimary: async () => (await supervisor.report()).postgres?.role === "primary",
    clock,
    log,
  });

  async function beginRescue(order: { readonly key: string; readonly dataDirectory: string }): Promise<void> {
    const { postgres } = await supervisor.report();
    if (postgres?.role !== "standby") {
      throw new EngineError(
        "postgres-failed",
        `instance "${spec.name}" runs no standby that could take over`,
      );
    }
    const { lsn, receivedLsn } = postgres;
    rescue.begin(order, { replayed: parseLsn(lsn), received: parseLsn(receivedLsn ?? lsn) });
  }

  /** Why the server does not follow its primary; undefined while it does, and for a primary. */
  async function troubleOf({ postgres, error }: SupervisorReport): Promise<StandbyTrouble | undefined> {
    const streams = postgres?.replication.some(({ state }) => state === "streaming") === true;
    if (supervisor.spec.role.kind === "primary" || postgres?.role === "primary" || streams) {
      await standbyLog.forget();
      return undefined;
    }
    if (postgres !== undefined) slot.lookAgain();
    return standbyLog.trouble(error);
  }

  async function takeOne(order: BackupOrder): Promise<BackupResult> {
    const { server } = supervisor;
    if (server === undefined) {
      throw new EngineError("postgres-failed", `instance "${spec.name}" does not accept connections`);
    }
    const { archive, role, name } = supervisor.spec;
    if (archive === undefined) throw archivesNowhere(name);
    const { user, database } = server.connection;
    return takeBackup({
      ...order,
      archive,
      spoolDirectory: folder.spool,
      server: server.connection,
      primary: role.kind === "standby" ? { host: role.host, port: role.port, user, database } : undefined,
      clock,
      log,
    });
  }

  async function status(): Promise<InstanceStatus> {
    const [report, agent] = await Promise.all([supervisor.report(), archiving.status()]);
    const archivingError = agent === undefined ? archiving.failure : undefined;
    return {
      pid: process.pid,
      startedAt,
      ...report,
      trouble: await troubleOf(report),
      rescue: rescue.status,
      archiving: agent,
      archivingError,
      backups: [...jobs.list()],
    };
  }

  const configure = following(
    async () => readInstanceSpec(folder),
    (changed) => supervisor.configure(changed),
  );
  async function answer(request: InstanceRequest): Promise<unknown> {
    switch (request.op) {
      case "status":
        return status();
      case "configure":
        return configure();
      case "backup":
        return desk.begin(request);
      case "cancel-backup":
        return desk.cancelJob(request.id);
      case "forget-backup":
        return jobs.forget(request.id);
      case "rescue":
        return beginRescue(request);
      case "promote":
        return supervisor.promote();
      case "restart":
        return supervisor.restart();
      case "stop":
        log.info("asked to stop", { mode: request.mode });
        return supervisor.stop(request.mode);
    }
  }

  await using _socket = await listenInFolder(folder, {
    startedAt,
    answer: async (request) => answer(parseInstanceRequest(request)),
    log,
  });
  log.info("serving", { path: folder.root, version: spec.version });
  const leave = () => {
    supervisor.leave();
    // Waited for below.
    void desk.close();
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const over = new AbortController();
  const limiting = limitLogs([folder.serverLog, folder.processLog], { clock, log, signal: over.signal });
  try {
    await supervisor.run();
  } finally {
    over.abort();
    await limiting;
    signal.removeEventListener("abort", leave);
    await Promise.all([desk.close(), archiving.close(), slot.close(), prefetch.close(), rescue.close()]);
    await removeProcessState(folder);
  }
  log.info("ended");
}

function archivingOrder(
  { data, spool }: InstanceFolder,
  { archive }: InstanceSpec,
): ArchivingOrder | undefined {
  return archive && { dataDirectory: data, spoolDirectory: spool, archive };
}

function archivesNowhere(name: string): EngineError {
  return new EngineError(
    "postgres-settings",
    `instance "${name}" archives nowhere, so there is no place for a backup`,
    { hint: "Give its cluster a store." },
  );
}
