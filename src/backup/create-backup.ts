import type { Clock } from "../common/clock.ts";
import { describeError, EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { readServerFacts } from "../postgres/backup-functions-facts.ts";
import type { SqlConnection } from "../postgres/connection.ts";
import type { BackupId } from "../repository/backup-id.ts";
import { claimRepository } from "../repository/claim.ts";
import type { Repository } from "../repository/repository.ts";
import { createArchivePoll, type ArchiveWaiter } from "./archive-wait.ts";
import { describeArchiver, requireArchiving } from "./archiver-state.ts";
import { lockServerForBackup, unlockServer } from "./backup-lock.ts";
import { requiredOf, resolveOptions, type BackupOptions } from "./backup-options.ts";
import type { BackupResult } from "./backup-result.ts";
import { BackupRun } from "./backup-run.ts";
import { requireFilesHere } from "./backup-source.ts";
import { Destinations } from "./destinations.ts";
import { Progress, type BackupProgress } from "./progress.ts";
import { markOf } from "../repository/running-mark.ts";
import { takeBackupId } from "./take-id.ts";

export interface CreateBackupRequest {
  /** Each gets the whole backup, or is left out when it fails (`options.policy`). At least one, all of the same server. */
  readonly repositories: readonly Repository[];
  /** A session of the server whose files are here, used for nothing else meanwhile; the caller closes it. */
  readonly connection: SqlConnection;
  /** With a standby as source: its primary, which is made to complete the last segment. */
  readonly primaryConnection?: SqlConnection;
  readonly options?: BackupOptions;
  /** How to wait for WAL; default: by looking into the repositories. */
  readonly archive?: ArchiveWaiter;
  /** Called once, as soon as the backup has its ID. */
  readonly onId?: (id: BackupId) => void;
  /** Called at changes of phase and at most five times a second. */
  readonly progress?: (progress: BackupProgress) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * Takes a base backup of a running server into every repository, from one reading. In each it becomes visible, by
 * `backup.info`, when all it needs is there: parts, manifest, and the WAL up to its end. A repository that fails, or is much
 * slower than the others, is left out; the result says which and why.
 *
 * Order, and what a crash after each step leaves: the running mark (a folder that is known to be ours), parts and
 * manifest (the same), WAL (nothing to clean), `backup.info` (a good backup), removal of the mark. Leftovers of killed
 * backups are removed when the next one starts. On failure or abort they are removed at once, as far as possible.
 *
 * @throws EngineError `usage`, `locked` (a backup of this server is running), `postgres-settings`, `config` (the files are
 * not here), `file-io` (with the path), `backup-failed`, `aborted`, what PostgreSQL throws, and, when too few repositories are
 * left, why: `system-mismatch`, `wal-timeout`, or what the stores throw.
 */
export async function createBackup(request: CreateBackupRequest): Promise<BackupResult> {
  const { repositories, connection, clock } = request;
  if (repositories.length === 0) throw new EngineError("usage", "no repository to back up to");
  const options = resolveOptions(request.options ?? {});
  const stop = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, stop.signal]) : stop.signal;
  // The server gives the backup up when its session ends. `lost` never rejects.
  void connection.lost.then((error) => stop.abort(error));
  const destinations = new Destinations({
    targets: repositories.map((repository) => ({
      repository,
      form: options.forms.get(repository.name) ?? options.form,
    })),
    required: requiredOf(options.policy, repositories.length),
    answerGraceMs: options.answerGraceMs,
    clock,
    log: request.log,
    stop,
    signal,
  });

  const progress = new Progress(clock, request.progress);
  progress.enter("starting");
  await lockServerForBackup(connection);
  try {
    const facts = await readServerFacts(connection);
    requireArchiving(facts);
    await requireFilesHere(connection, facts, { clock, signal });
    await destinations.each(
      async ({ repository, signal }) => void (await claimRepository(repository, facts, signal)),
      { isAwaited: true },
    );
    await warnOfArchiver(request);
    const mark = markOf(facts);
    const id = await takeBackupId(destinations, mark, { clock, signal });
    destinations.begin(id);
    request.onId?.(id);
    const run = new BackupRun({
      ...request,
      destinations,
      options,
      archive: request.archive ?? createArchivePoll(archivePollOptions(request, options.walTimeoutMs)),
      log: request.log.child({ backup: id }),
      progress,
      facts,
      mark,
      id,
      stop,
      signal,
    });
    return await run.perform();
  } finally {
    await unlockServer(connection);
  }
}

function archivePollOptions(request: CreateBackupRequest, timeoutMs: number) {
  const { clock, log, connection, primaryConnection } = request;
  return {
    timeoutMs,
    clock,
    log,
    describeArchiver: async () => describeArchiver(primaryConnection ?? connection),
  };
}

/** Said early, because the copying may take hours before the wait would say it. */
async function warnOfArchiver({ connection, primaryConnection, log }: CreateBackupRequest): Promise<void> {
  try {
    const trouble = await describeArchiver(primaryConnection ?? connection);
    if (trouble !== undefined)
      log.warn("the backup cannot finish unless WAL gets archived", { error: trouble });
  } catch (error) {
    log.debug("could not ask the server about its archiver", { error: describeError(error) });
  }
}
