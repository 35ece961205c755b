import type { BackupResult } from "../../backup/backup-result.ts";
import type { Clock } from "../../common/clock.ts";
import { limitLogs } from "../../common/limited-logs.ts";
import type { Log } from "../../common/log.ts";
import { pushConfiguration } from "../configuration/command-configuration.ts";
import { writeIfChanged } from "../configuration/own-files.ts";
import { Archiving } from "../process/archiving.ts";
import { BackupDesk, type BackupOrder } from "../process/backup-desk.ts";
import { BackupJobs } from "../process/backup-jobs.ts";
import { requireFreshArchive } from "../process/empty-archive.ts";
import { lockFolder } from "../process/folder-lock.ts";
import { following } from "../process/following.ts";
import { listenInFolder } from "../process/listen-in-folder.ts";
import { removeProcessState } from "../process/process-file.ts";
import { takeBackup } from "../process/take-backup.ts";
import { attachedConnection } from "./attached-connection.ts";
import { attachedFolder } from "./attached-folder.ts";
import { readAttachedSpec, type AttachedSpec } from "./attached-spec.ts";
import { parseAttachedRequest, type AttachedRequest, type AttachedStatus } from "./attached-status.ts";
import { AttachedWatch } from "./attached-watch.ts";

export interface RunAttachedOptions {
  /** The server's folder: ours, not its data directory. */
  readonly folder: string;
  /** The command line that runs this program: `archive_command` runs it when this process is not there. */
  readonly program: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * The process beside a PostgreSQL that somebody else starts and stops: archives its WAL and takes its base backups as
 * `server.json` says, and answers (`attached-client.ts`). It never starts, stops or configures PostgreSQL. Resolves when it was
 * told to end. It may be killed at any moment: the next one finds its jobs and acknowledgements on disk.
 *
 * @throws EngineError `config` when there is no readable `server.json`, `locked` when another process serves the folder,
 * `file-io`.
 */
export async function runAttached(options: RunAttachedOptions): Promise<void> {
  const { program, clock, signal } = options;
  const folder = attachedFolder(options.folder);
  let spec = await readAttachedSpec(folder);
  using _lock = await lockFolder(folder, "server");
  const log = options.log.child({ server: spec.server });
  const startedAt = clock.now().toISOString();
  const told = new AbortController();

  const jobs = await BackupJobs.open(folder.backups, log);
  const desk = new BackupDesk({
    jobs,
    instance: spec.name,
    interruption: "the agent beside the server ended during the backup",
    take: takeOne,
    clock,
    log,
  });
  await desk.recover();
  const archiving = new Archiving({
    pushCommand: [...program, "wal", "push", "--config", folder.pushConfiguration],
    beforeWriting: async (repositories, stop) =>
      requireFreshArchive(folder, { archive: spec.archive, role: { kind: "primary" } }, repositories, stop),
    clock,
    log,
  });
  const watch = new AttachedWatch({ clock, log }, spec);

  async function takeOne(order: BackupOrder): Promise<BackupResult> {
    const { archive, spoolDirectory } = spec;
    const server = await attachedConnection(spec);
    return takeBackup({ ...order, archive, spoolDirectory, server, primary: undefined, clock, log });
  }

  async function follow(changed: AttachedSpec): Promise<void> {
    spec = changed;
    const { dataDirectory, spoolDirectory, binDirectory, archive } = spec;
    const push = pushConfiguration({ dataDirectory, spoolDirectory, binDirectory, archive });
    // First: with the agent comes a script that reads it.
    await writeIfChanged(folder.pushConfiguration, `${JSON.stringify(push, undefined, 2)}\n`, undefined);
    archiving.follow({ dataDirectory, spoolDirectory, archive });
    await watch.follow(spec);
  }

  async function status(): Promise<AttachedStatus> {
    const [report, agent] = await Promise.all([watch.report(), archiving.status()]);
    const archivingError = agent === undefined ? archiving.failure : undefined;
    return {
      pid: process.pid,
      startedAt,
      specVersion: spec.version,
      ...report,
      archiving: agent,
      archivingError,
      backups: [...jobs.list()],
    };
  }

  const configure = following(async () => readAttachedSpec(folder), follow);
  async function answer(request: AttachedRequest): Promise<unknown> {
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
      case "stop":
        log.info("asked to stop");
        return told.abort();
    }
  }

  await using _socket = await listenInFolder(folder, {
    startedAt,
    answer: async (request) => answer(parseAttachedRequest(request)),
    log,
  });
  const over = new AbortController();
  const limiting = limitLogs([folder.processLog], { clock, log, signal: over.signal });
  const lettingGo = watch.holdUpNoStop(over.signal);
  try {
    await follow(spec);
    log.info("serving", { path: folder.root, version: spec.version });
    await aborted(AbortSignal.any([signal, told.signal]));
  } finally {
    over.abort();
    await Promise.all([desk.close(), archiving.close(), watch.close(), limiting, lettingGo]);
    await removeProcessState(folder);
  }
  log.info("ended");
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
