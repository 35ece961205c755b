import { returnMemory } from "../../agent/return-memory.ts";
import type { BackupResult } from "../../backup/backup-result.ts";
import type { BackupProgress } from "../../backup/progress.ts";
import type { Clock } from "../../common/clock.ts";
import { describeError, EngineError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import type { BackupId } from "../../repository/backup-id.ts";
import type { BackupJob } from "../instance-status.ts";
import type { BackupJobs } from "./backup-jobs.ts";
import { requireJobId } from "./backup-jobs.ts";
import { failureOf } from "./failure.ts";

/** What one job is to do, and what it tells meanwhile. */
export interface BackupOrder {
  readonly name: string | undefined;
  readonly onId: (id: BackupId) => void;
  readonly onProgress: (progress: BackupProgress) => void;
  readonly signal: AbortSignal;
}

export interface BackupDeskOptions {
  readonly jobs: BackupJobs;
  /** The instance's or server's name, for messages. */
  readonly instance: string;
  /** What a backup failed of whose process has ended, be it killed or told to. Default: CloudNativePG's words (spec, section 8.4). */
  readonly interruption?: string;
  readonly take: (order: BackupOrder) => Promise<BackupResult>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long the end of the process waits for a backup to clean up; what is left is collected by the next backup. */
const patienceMs = 10_000;

/** Takes base backups on request, one at a time, and keeps their jobs true. */
export class BackupDesk {
  readonly #options: BackupDeskOptions;
  #current:
    | { readonly id: string; readonly abort: AbortController; readonly ended: Promise<void> }
    | undefined;
  #beginning: string | undefined;
  #isClosed = false;

  constructor(options: BackupDeskOptions) {
    this.#options = options;
  }

  /** Jobs that an earlier process left running have failed. To be called once, before anything is asked. */
  async recover(): Promise<void> {
    const { jobs, log, instance } = this.#options;
    for (const job of jobs.list()) {
      if (job.state !== "running") continue;
      log.warn("a base backup was running when the instance's process ended", {
        job: job.id,
        server: instance,
      });
      await this.#settle(this.#failed(job, this.#interrupted()));
    }
  }

  /**
   * Begins a backup and answers when the job is noted durably. The same ID again changes nothing, whatever has become of the job.
   *
   * @throws EngineError `locked` while another one runs; `usage` for an ID that cannot be one.
   */
  async begin({ id, name }: { readonly id: string; readonly name?: string | undefined }): Promise<void> {
    const { jobs, clock, instance } = this.#options;
    requireJobId(id);
    if (jobs.get(id) !== undefined || this.#beginning === id) return;
    const other = this.#current?.id ?? this.#beginning;
    if (other !== undefined) {
      throw new EngineError(
        "locked",
        `a base backup of instance "${instance}" is running, as job "${other}"`,
        {
          hint: "Ask again when it has ended.",
        },
      );
    }
    if (this.#isClosed) throw this.#interrupted();
    this.#beginning = id;
    try {
      const startedAt = clock.now().toISOString();
      await jobs.write({ id, state: "running", phase: "starting", doneBytes: 0, startedAt });
      const abort = new AbortController();
      // Never rejects.
      this.#current = { id, abort, ended: this.#run(id, name, abort.signal) };
      if (this.#isClosed) abort.abort(this.#interrupted());
    } finally {
      this.#beginning = undefined;
    }
  }

  /** Gives up the backup that is running, if one is, for this reason, and waits until it has ended. */
  async cancel(reason: EngineError): Promise<void> {
    this.#current?.abort.abort(reason);
    await this.#current?.ended;
  }

  /** Gives up the job, if it is the one that runs, and forgets it; nobody wants it any more. */
  async cancelJob(id: string): Promise<void> {
    if (this.#current?.id === id) {
      await this.cancel(new EngineError("aborted", "the backup was given up, as asked"));
    }
    await this.#options.jobs.forget(id);
  }

  /** The process ends: nothing begins any more, and what runs is given up. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    this.#isClosed = true;
    const late = new AbortController();
    await Promise.race([
      this.cancel(this.#interrupted()),
      clock.sleep(patienceMs, late.signal).catch(() => undefined),
    ]);
    late.abort();
  }

  async #run(id: string, name: string | undefined, signal: AbortSignal): Promise<void> {
    const { jobs, take, log, clock } = this.#options;
    const now = () => jobs.get(id) ?? lostJob(id);
    try {
      const result = await take({
        name,
        signal,
        onId: (backupId) => jobs.show({ ...now(), backupId }),
        onProgress: (progress) => jobs.show({ ...now(), ...progressOf(progress) }),
      });
      log.info("base backup completed", { job: id, backup: result.id, bytes: result.storedBytes });
      await this.#settle({ ...now(), ...completion(result), stoppedAt: clock.now().toISOString() });
    } catch (error) {
      log.error("base backup failed", { job: id, error: describeError(error) });
      await this.#settle(this.#failed(now(), error));
    } finally {
      this.#current = undefined;
      returnMemory();
    }
  }

  /** An end that cannot be noted is known while this process lives; the next one finds the job as interrupted. */
  async #settle(job: BackupJob): Promise<void> {
    const { jobs, log } = this.#options;
    try {
      await jobs.write(job);
    } catch (error) {
      log.error("could not note how a base backup ended", { job: job.id, error: describeError(error) });
      jobs.show(job);
    }
  }

  #interrupted(): EngineError {
    const {
      instance,
      interruption = `instance manager was restarted during backup on instance ${instance}`,
    } = this.#options;
    return new EngineError("aborted", interruption, {
      hint: "Take another backup; it removes what this one has left.",
    });
  }

  #failed(job: BackupJob, error: unknown): BackupJob {
    const { clock } = this.#options;
    return { ...job, state: "failed", stoppedAt: clock.now().toISOString(), error: failureOf(error) };
  }
}

function lostJob(id: string): never {
  throw new EngineError("internal", `job "${id}" is running and not known`);
}

function progressOf({ phase, bytesDone, bytesTotal }: BackupProgress): Partial<BackupJob> {
  return { phase, doneBytes: bytesDone, ...(bytesTotal === 0 ? {} : { totalBytes: bytesTotal }) };
}

function completion({ id, info, manifest, storedBytes, missing }: BackupResult): Partial<BackupJob> {
  return {
    state: "completed",
    phase: "done",
    backupId: id,
    result: {
      beginWal: info.beginWal,
      endWal: info.endWal,
      beginLsn: formatLsn(info.beginLsn),
      endLsn: formatLsn(info.endLsn),
      timeline: info.timeline,
      beginTime: info.beginTime.toISOString(),
      endTime: info.endTime.toISOString(),
      storedBytes,
      damagedPages: manifest.damagedPageCount,
      ...(missing.length === 0
        ? {}
        : {
            missing: missing.map(({ repository, error }) => ({
              name: repository,
              message: describeError(error),
            })),
          }),
    },
  };
}
