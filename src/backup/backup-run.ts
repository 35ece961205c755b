import { throwIfAborted } from "../common/abort.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import { currentWalLsn, type StartedBackup, type StoppedBackup } from "../postgres/backup-functions.ts";
import { readServerFacts, type ServerFacts } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import { lastSegmentBefore, segmentContaining } from "../postgres/wal-file-name.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { digestBackupInfo, formatBackupInfo } from "../repository/backup-info-text.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import type { StoredForm } from "../repository/stored-form.ts";
import type { ArchiveWaiter, NeededWal } from "./archive-wait.ts";
import { buildInfo, buildManifest, serverTime } from "./backup-records.ts";
import type { ResolvedOptions } from "./backup-options.ts";
import { backupResult, type BackupResult } from "./backup-result.ts";
import { openBackupSource, readControlFile, type BackupSource } from "./backup-source.ts";
import { completeCopy } from "./complete-copy.ts";
import { copyInLanes } from "./copy-lanes.ts";
import type { Destination } from "./destination.ts";
import type { Destinations } from "./destinations.ts";
import { collectLeftovers } from "./incomplete.ts";
import { LaneBuffers } from "./lane-buffers.ts";
import { writeLastPart } from "./last-part.ts";
import { readOwnerNames, type OwnerNames } from "./owner-names.ts";
import { Pace } from "./pace.ts";
import { PageCheck } from "./page-check.ts";
import { PartWriter } from "./part-writer.ts";
import type { Progress } from "./progress.ts";
import { MarkRenewal, markOf, writeRunningMark, type RunningMark } from "../repository/running-mark.ts";
import { ServerBackup } from "./server-backup.ts";
import { surveyArchive, workItems } from "./work-queue.ts";

export interface BackupRunOptions {
  readonly destinations: Destinations;
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
  readonly #server: ServerBackup;
  /** Removing what killed backups left takes its time, and nobody waits for another repository's. */
  readonly #collecting = new Map<Destination, Promise<void>>();

  constructor(options: BackupRunOptions) {
    this.#with = options;
    this.#startedMs = options.clock.monotonicMs();
    this.#server = new ServerBackup(options);
  }

  async perform(): Promise<BackupResult> {
    const { destinations, id, mark, signal, log, progress, clock, options } = this.#with;
    const unfinished = () =>
      destinations.live.filter(({ isVisible }) => !isVisible).map(({ repository }) => repository);
    using renewal = new MarkRenewal(unfinished, id, mark, signal);
    using pace = new Pace(destinations, { ...options, clock, signal });
    try {
      await this.#writeMarks(mark);
      const started = await this.#start(renewal);
      const source = await this.#openSource();
      const names = await readOwnerNames();
      using parts = new PartWriter({ ...options, destinations, pace, id, signal });
      const pages = this.#pageCheck(started, source);
      await this.#copy(source, parts, pages, names);
      faultPoint("backup:parts-complete");

      // After all other files, and before the stop: a standby's says how far replay must get to be consistent, which may
      // not lie behind the end of the backup.
      const { bytes: control } = await readControlFile(source.dataDirectory, clock, signal);
      progress.enter("stopping");
      const stopped = await this.#server.stop(started, signal);
      const lastPartBytes = await this.#writeLastPart(source, parts, { control, stopped }, names);
      const { manifestOf, info } = this.#records(source, { started, stopped }, parts, pages, lastPartBytes);
      progress.enter("waiting-for-wal");
      await this.#server.completeLastSegment();
      const neededWal = this.#neededWal(started, stopped);
      await this.#complete(parts, pace, { manifestOf, info, neededWal });
      await destinations.tidied();
      progress.enter("done");
      const durationMs = Math.round(clock.monotonicMs() - this.#startedMs);
      const result = backupResult(destinations, { id, info, manifestOf, durationMs });
      log.info("base backup complete", {
        bytes: result.manifest.dataBytes,
        storedBytes: result.storedBytes,
        durationMs,
      });
      return result;
    } catch (error) {
      await this.#giveUp(renewal);
      throw error;
    }
  }

  /** A mark that has lost its answer is written again: the time of our own write is the store's clock, with which it also dates the others. */
  async #writeMarks(mark: RunningMark): Promise<void> {
    const { destinations, id } = this.#with;
    await destinations.each(
      async (destination) => {
        const { repository } = destination;
        const now = await writeRunningMark(repository, id, mark, { signal: destination.signal });
        // Never rejects; waited for before the repository gets its manifest.
        this.#collecting.set(
          destination,
          collectLeftovers(repository, id, { now, lockHolder: mark }, destination.signal),
        );
      },
      { isAwaited: true },
    );
  }

  async #start(renewal: MarkRenewal): Promise<StartedBackup> {
    const { facts, options, destinations, id, signal, log } = this.#with;
    const started = await this.#server.start({ fast: options.fast, signal });
    const beginWal = segmentContaining(started.startLsn, started.timeline, facts.walSegmentSizeBytes);
    renewal.mark = markOf(facts, beginWal);
    await destinations.each(
      async ({ repository, signal }) =>
        void (await writeRunningMark(repository, id, renewal.mark, { signal })),
      { isAwaited: true },
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
      parts.publish(open);
      return bytes;
    } catch (error) {
      await parts.abort(open);
      throw error;
    }
  }

  /** The manifest of each form, and what all have in common. */
  #records(
    source: BackupSource,
    { started, stopped }: { readonly started: StartedBackup; readonly stopped: StoppedBackup },
    parts: PartWriter,
    pages: PageCheck | undefined,
    lastPartBytes: number,
  ): { readonly manifestOf: (form: StoredForm) => BackupManifest; readonly info: FinishedBackupInfo } {
    const { facts, options, progress, clock } = this.#with;
    const copied = progress.current;
    // Control file, label and what came from outside.
    const lastPartFiles = 2 + source.outsideFiles.length;
    const manifestOf = (form: StoredForm) =>
      buildManifest({
        parts: parts.finished(form),
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
    const infoSha256 = digestBackupInfo(formatBackupInfo(info));
    return { manifestOf: (form) => ({ ...manifestOf(form), infoSha256 }), info };
  }

  #neededWal({ startLsn, timeline }: StartedBackup, { stopLsn }: StoppedBackup): NeededWal {
    const segmentSizeBytes = this.#with.facts.walSegmentSizeBytes;
    return {
      first: segmentContaining(startLsn, timeline, segmentSizeBytes),
      last: lastSegmentBefore(stopLsn, timeline, segmentSizeBytes),
      segmentSizeBytes,
    };
  }

  /** Each repository by itself: as soon as it has everything, the backup is visible there. */
  async #complete(
    parts: PartWriter,
    pace: Pace,
    records: {
      readonly manifestOf: (form: StoredForm) => BackupManifest;
      readonly info: FinishedBackupInfo;
      readonly neededWal: NeededWal;
    },
  ): Promise<void> {
    const { destinations, id, archive, log, progress } = this.#with;
    const { manifestOf, info, neededWal } = records;
    const onWalComplete = () => {
      if (progress.current.phase !== "finishing") progress.enter("finishing");
    };
    try {
      await destinations.each(async (destination) => {
        await parts.settled(destination);
        throwIfAborted(destination.signal);
        pace.through(destination);
        await this.#collecting.get(destination);
        const manifest = manifestOf(destination.form);
        await completeCopy(destination, { id, manifest, info, neededWal }, { archive, log, onWalComplete });
      });
    } catch (error) {
      // It is where it must be: that it was stopped before it was everywhere does not take it away.
      if (!destinations.isEnough) throw this.#partly(error);
      log.warn("the backup was stopped before it was in every repository", { error: describeError(error) });
      await destinations.removeAll();
    }
  }

  #partly(cause: unknown): unknown {
    const { destinations, id } = this.#with;
    const complete = destinations.all.filter(({ isVisible }) => isVisible);
    if (complete.length === 0) return cause;
    const names = complete.map(({ repository }) => repository.name).join(", ");
    return new EngineError(
      "backup-failed",
      `backup "${id}" is complete in ${names}, but not in every repository: ${describeError(cause)}`,
      { cause },
    );
  }

  /** Best effort: whatever stays behind is collected by the next backup. Never throws. */
  async #giveUp(renewal: MarkRenewal): Promise<void> {
    const { destinations, stop } = this.#with;
    renewal[Symbol.dispose]();
    stop.abort(new EngineError("aborted", "the backup was given up"));
    await this.#server.giveUp(AbortSignal.timeout(cleanUpMs));
    await destinations.removeAll();
  }
}

function unexpected(cause: unknown): EngineError {
  return new EngineError("backup-failed", `could not copy the files: ${describeError(cause)}`, { cause });
}
