import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import {
  createRestorePoint,
  currentWalLsn,
  startBackup,
  stopBackup,
  switchWal,
  type StartedBackup,
  type StoppedBackup,
} from "../postgres/backup-functions.ts";
import { readServerFacts, type ServerFacts } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import { lastSegmentBefore, segmentContaining } from "../postgres/wal-file-name.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import type { Repository } from "../repository/repository.ts";
import type { ArchiveWaiter } from "./archive-wait.ts";
import { buildInfo, buildManifest, serverTime } from "./backup-records.ts";
import type { ResolvedOptions } from "./backup-options.ts";
import { openBackupSource, readControlFile, type BackupSource } from "./backup-source.ts";
import { requireParts, requireVisible, writeInfo, writeManifest } from "./commit.ts";
import { copyInLanes } from "./copy-lanes.ts";
import type { BackupResult } from "./create-backup.ts";
import { collectLeftovers } from "./incomplete.ts";
import { LaneBuffers } from "./lane-buffers.ts";
import { writeLastPart } from "./last-part.ts";
import { readOwnerNames, type OwnerNames } from "./owner-names.ts";
import { PageCheck } from "./page-check.ts";
import { PartWriter } from "./part-writer.ts";
import type { Progress } from "./progress.ts";
import { removeBackupObjects } from "./remove-backup.ts";
import { MarkRenewal, markOf, runningMarkKey, writeRunningMark, type RunningMark } from "./running-mark.ts";
import { surveyArchive, workItems } from "./work-queue.ts";

export interface BackupRunOptions {
  readonly repositories: readonly Repository[];
  readonly connection: SqlConnection;
  readonly primaryConnection?: SqlConnection;
  readonly options: ResolvedOptions;
  readonly archive: ArchiveWaiter;
  readonly progress: Progress;
  readonly facts: ServerFacts;
  readonly mark: RunningMark;
  readonly id: BackupId;
  readonly clock: Clock;
  readonly log: Log;
  /** Stops everything of this backup. */
  readonly stop: AbortController;
  /** Fires for `stop` and for the caller. */
  readonly signal: AbortSignal;
}

/** Cleaning up after a failure may not take for ever: what is left is collected by the next backup. */
const cleanUpMs = 60_000;

/** One backup, from its ID to its end. */
export class BackupRun {
  readonly #with: BackupRunOptions;
  readonly #startedMs: number;
  /** Between start and stop the server must be told if we give up. */
  #isStarted = false;
  /** Repositories in which the backup is visible: nothing of it may be removed there. */
  readonly #visibleIn = new Set<Repository>();

  constructor(options: BackupRunOptions) {
    this.#with = options;
    this.#startedMs = options.clock.monotonicMs();
  }

  async perform(): Promise<BackupResult> {
    const { repositories, id, mark, signal, log, progress } = this.#with;
    using renewal = new MarkRenewal(repositories, id, mark, signal);
    try {
      await this.#collectLeftovers();
      const started = await this.#start(renewal);
      const source = await this.#openSource();
      const names = await readOwnerNames();
      using parts = new PartWriter({ ...this.#with.options, repositories, id, signal });
      const pages = this.#pageCheck(started, source);
      await this.#copy(source, parts, pages, names);
      faultPoint("backup:parts-complete");

      // After all other files, and before the stop: a standby's says how far replay must get to be consistent, which may
      // not lie behind the end of the backup.
      const { bytes: control } = await readControlFile(source.dataDirectory, this.#with.clock, signal);
      const stopped = await this.#stop(started);
      const lastPartBytes = await this.#writeLastPart(source, parts, { control, stopped }, names);
      const { manifest, info } = this.#records(source, { started, stopped }, parts, pages, lastPartBytes);
      await mapConcurrent(repositories, repositories.length, async (repository) =>
        writeManifest(repository, id, manifest, signal),
      );
      faultPoint("backup:manifest-written");
      await this.#waitForWal(started, stopped);

      progress.enter("finishing");
      await this.#makeVisible(manifest, info);
      await this.#removeMarks();
      progress.enter("done");
      const storedBytes = manifest.parts.reduce((sum, part) => sum + part.storedBytes, 0);
      const durationMs = Math.round(this.#with.clock.monotonicMs() - this.#startedMs);
      log.info("base backup complete", { bytes: manifest.dataBytes, storedBytes, durationMs });
      return { id, info, manifest, storedBytes, durationMs };
    } catch (error) {
      await this.#giveUp(renewal);
      throw error;
    }
  }

  async #collectLeftovers(): Promise<void> {
    const { repositories, id, mark, signal } = this.#with;
    await mapConcurrent(repositories, repositories.length, async (repository) => {
      // The time of our own write is the store's clock, with which it also dates the others.
      const now = await writeRunningMark(repository, id, mark, { signal });
      await collectLeftovers(repository, id, { now, lockHolder: mark }, signal);
    });
  }

  async #start(renewal: MarkRenewal): Promise<StartedBackup> {
    const { connection, facts, options, repositories, id, signal, log } = this.#with;
    this.#isStarted = true;
    const started = await startBackup(connection, {
      major: facts.major,
      label: `Tidemark base backup ${id}`,
      fast: options.fast,
      signal,
    });
    const beginWal = segmentContaining(started.startLsn, started.timeline, facts.walSegmentSizeBytes);
    renewal.mark = markOf(facts, beginWal);
    await mapConcurrent(repositories, repositories.length, async (repository) =>
      writeRunningMark(repository, id, renewal.mark, { signal }),
    );
    log.info("base backup started", { segment: beginWal, timeline: started.timeline });
    faultPoint("backup:after-start");
    return started;
  }

  async #openSource(): Promise<BackupSource> {
    const { connection, clock, log, signal } = this.#with;
    return openBackupSource(connection, await readServerFacts(connection), { clock, log, signal });
  }

  #pageCheck({ startLsn }: StartedBackup, source: BackupSource): PageCheck | undefined {
    const { facts, connection, clock } = this.#with;
    if (!facts.dataChecksums) return undefined;
    const { blockSizeBytes, blocksPerFile } = source.control;
    const currentLsn = async () => currentWalLsn(connection);
    return new PageCheck({ blockSizeBytes, blocksPerFile, startLsn, currentLsn, clock });
  }

  async #copy(
    source: BackupSource,
    parts: PartWriter,
    pages: PageCheck | undefined,
    names: OwnerNames,
  ): Promise<void> {
    const { options, progress, stop, signal } = this.#with;
    const log = this.#with.log;
    const surveys = [];
    for (const root of source.roots) surveys.push(await surveyArchive(root, log, signal));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    progress.expect(
      sum(surveys.map(({ fileCount }) => fileCount)),
      sum(surveys.map(({ totalBytes }) => totalBytes)),
    );
    progress.enter("copying");
    await copyInLanes({
      lanes: options.lanes,
      items: workItems(surveys, log),
      parts,
      maxPartBytes: options.maxPartBytes,
      blockSizeBytes: source.control.blockSizeBytes,
      context: { names, pages, progress, log },
      signal,
      fail: (error) => {
        stop.abort(isEngineError(error) ? error : unexpected(error));
      },
    });
  }

  async #stop(started: StartedBackup): Promise<StoppedBackup> {
    const { connection, facts, progress, signal } = this.#with;
    progress.enter("stopping");
    let stopped: StoppedBackup;
    try {
      stopped = await stopBackup(connection, { major: facts.major, signal });
    } catch (error) {
      throw (await this.#wasPromoted()) ? promoted(error) : error;
    }
    this.#isStarted = false;
    faultPoint("backup:after-stop");
    if (stopped.timeline !== started.timeline) {
      throw new EngineError(
        "backup-failed",
        `the server went from timeline ${started.timeline} to ${stopped.timeline} during the backup`,
        {
          retryable: true,
          hint: "Its primary was promoted meanwhile. Run CHECKPOINT on the new primary, wait until the standby has replayed it, and start again.",
        },
      );
    }
    return stopped;
  }

  async #wasPromoted(): Promise<boolean> {
    const { connection, facts, signal } = this.#with;
    if (!facts.inRecovery || signal.aborted) return false;
    const rows = await connection
      .query<{ recovery: boolean }>("SELECT pg_is_in_recovery() AS recovery")
      .catch(() => []);
    return rows[0]?.recovery === false;
  }

  /** Returns how many bytes of files it added. */
  async #writeLastPart(
    source: BackupSource,
    parts: PartWriter,
    { control, stopped }: { readonly control: Buffer; readonly stopped: StoppedBackup },
    names: OwnerNames,
  ): Promise<number> {
    const open = parts.open("data", parts.takeIndex("data"), new LaneBuffers(source.control.blockSizeBytes));
    try {
      const label = { text: stopped.backupLabel, endTime: serverTime(stopped.endTime, "up") };
      const bytes = await writeLastPart(open.part, source, { control, label }, names);
      await open.part.end();
      await parts.publish(open);
      return bytes;
    } catch (error) {
      await open.part.abort();
      throw error;
    }
  }

  #records(
    source: BackupSource,
    { started, stopped }: { readonly started: StartedBackup; readonly stopped: StoppedBackup },
    parts: PartWriter,
    pages: PageCheck | undefined,
    lastPartBytes: number,
  ): { readonly manifest: BackupManifest; readonly info: FinishedBackupInfo } {
    const { facts, options, progress, clock } = this.#with;
    const copied = progress.current;
    // Control file, label and what came from outside.
    const lastPartFiles = 2 + source.outsideFiles.length;
    const manifest = buildManifest({
      parts: parts.finished,
      fileCount: copied.filesDone + lastPartFiles,
      dataBytes: copied.bytesDone + lastPartBytes,
      pages,
      facts,
      tags: options.tags,
    });
    const info = buildInfo({
      facts,
      source,
      started,
      stopped,
      name: options.name,
      copyStats: {
        totalSeconds: (clock.monotonicMs() - this.#startedMs) / 1000,
        workers: options.lanes,
      },
    });
    return { manifest, info };
  }

  async #waitForWal({ startLsn, timeline }: StartedBackup, { stopLsn }: StoppedBackup): Promise<void> {
    const { facts, archive, progress, signal } = this.#with;
    const segmentSizeBytes = facts.walSegmentSizeBytes;
    progress.enter("waiting-for-wal");
    await this.#completeLastSegment();
    await archive.waitFor(
      {
        first: segmentContaining(startLsn, timeline, segmentSizeBytes),
        last: lastSegmentBefore(stopLsn, timeline, segmentSizeBytes),
        segmentSizeBytes,
      },
      signal,
    );
  }

  /**
   * On a primary the stop call has completed the segment; a standby cannot write, so its primary must. The restore point
   * is Barman's custom: a name to recover to, just behind the backup.
   */
  async #completeLastSegment(): Promise<void> {
    const { connection, primaryConnection, facts, id, log } = this.#with;
    const primary = facts.inRecovery ? primaryConnection : connection;
    if (primary === undefined) {
      log.info("a standby cannot complete its last WAL segment; waiting until its primary does");
      return;
    }
    try {
      await createRestorePoint(primary, `barman_${id}`);
    } catch (error) {
      log.warn("could not write the restore point behind the backup", { error: describeError(error) });
    }
    if (facts.inRecovery) await switchWal(primary);
  }

  async #makeVisible(manifest: BackupManifest, info: FinishedBackupInfo): Promise<void> {
    const { repositories, id, signal } = this.#with;
    await mapConcurrent(repositories, repositories.length, async (repository) =>
      requireParts(repository, id, manifest, signal),
    );
    faultPoint("backup:before-info");
    const written = await Promise.allSettled(
      repositories.map(async (repository) => {
        await writeInfo(repository, id, info, signal);
        this.#visibleIn.add(repository);
        await this.#readBack(repository, manifest);
      }),
    );
    faultPoint("backup:info-written");
    const failed = written.find((outcome) => outcome.status === "rejected");
    if (failed === undefined) return;
    if (this.#visibleIn.size === 0) throw failed.reason;
    const complete = [...this.#visibleIn].map(({ name }) => name).join(", ");
    throw new EngineError(
      "backup-failed",
      `backup "${id}" is complete in ${complete}, but not in every repository: ${describeError(failed.reason)}`,
      { cause: failed.reason },
    );
  }

  /** Trouble of the store is only logged: the backup is visible, and nothing says that it is not whole. */
  async #readBack(repository: Repository, manifest: BackupManifest): Promise<void> {
    const { id, signal, log } = this.#with;
    try {
      await requireVisible(repository, id, manifest, signal);
    } catch (error) {
      if (isEngineError(error, "backup-failed")) {
        this.#visibleIn.delete(repository);
        throw error;
      }
      log.warn("could not look again at the backup that was just made visible", {
        repository: repository.name,
        error: describeError(error),
      });
    }
  }

  async #removeMarks(): Promise<void> {
    const { repositories, id, log } = this.#with;
    for (const { store, server, name } of repositories) {
      try {
        await store.delete([runningMarkKey(server, id)], { signal: AbortSignal.timeout(cleanUpMs) });
      } catch (error) {
        log.warn("could not remove the mark of a backup that is complete; it does no harm", {
          repository: name,
          error: describeError(error),
        });
      }
    }
  }

  /** Best effort: whatever stays behind is collected by the next backup. Never throws. */
  async #giveUp(renewal: MarkRenewal): Promise<void> {
    const { repositories, connection, facts, id, log, stop } = this.#with;
    renewal[Symbol.dispose]();
    stop.abort(new EngineError("aborted", "the backup was given up"));
    const signal = AbortSignal.timeout(cleanUpMs);
    // A start that failed leaves nothing to stop, and the server then says so.
    if (this.#isStarted) await stopBackup(connection, { major: facts.major, signal }).catch(() => undefined);
    for (const repository of repositories) {
      if (this.#visibleIn.has(repository)) continue;
      try {
        await removeBackupObjects(repository, id, signal);
      } catch (error) {
        log.warn("could not remove what the failed backup left; the next backup does", {
          repository: repository.name,
          error: describeError(error),
        });
      }
    }
  }
}

function unexpected(cause: unknown): EngineError {
  return new EngineError("backup-failed", `could not copy the files: ${describeError(cause)}`, { cause });
}

function promoted(cause: unknown): EngineError {
  return new EngineError("backup-failed", "the standby was promoted during the backup", {
    cause,
    retryable: true,
    hint: "PostgreSQL gives such a backup up. Start another one; it may use the same server.",
  });
}
