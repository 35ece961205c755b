import type { Clock } from "../common/clock.ts";
import { EngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { formatDuration } from "../common/units.ts";
import {
  parseWalFileName,
  segmentsBetween,
  type WalFileName,
  type WalSegmentName,
} from "../postgres/wal-file-name.ts";
import { walDirectory } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { parseWalObject } from "../repository/wal-inventory.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";

/** The WAL that makes a backup consistent; without all of it the backup cannot be restored. */
export interface NeededWal {
  readonly first: WalSegmentName;
  /** On the same timeline. */
  readonly last: WalSegmentName;
  readonly segmentSizeBytes: number;
}

/** Resolves once the repository holds all of it; throws `wal-timeout`. */
export interface ArchiveWaiter {
  waitFor(repository: Repository, needed: NeededWal, signal: AbortSignal): Promise<void>;
}

export interface ArchivePollOptions {
  /** Gives up when no segment has arrived for so long. */
  readonly timeoutMs: number;
  /** What the server says about its archiver, for the error; undefined when it says nothing useful. */
  readonly describeArchiver: () => Promise<string | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

const firstPauseMs = 50;
const longestPauseMs = 3000;
const warnEveryMs = 60_000;

/** Waits by looking: what is in a repository is what counts, whoever put it there. */
export function createArchivePoll(options: ArchivePollOptions): ArchiveWaiter {
  return {
    waitFor: async (repository, needed, signal) => waitForRepository(options, repository, needed, signal),
  };
}

async function waitForRepository(
  options: ArchivePollOptions,
  repository: Repository,
  needed: NeededWal,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, timeoutMs } = options;
  const missing = await listMissing(repository, needed, signal);
  let progressMs = clock.monotonicMs();
  let warnedMs = progressMs;
  let pauseMs = firstPauseMs;
  for (let next = missing.shift(); next !== undefined;) {
    if ((await findWalObjects(repository, next, signal)).length > 0) {
      next = missing.shift();
      progressMs = clock.monotonicMs();
      pauseMs = firstPauseMs;
      continue;
    }
    const now = clock.monotonicMs();
    if (now - progressMs >= timeoutMs)
      throw await timedOut(options, repository, next.name, missing.length + 1);
    if (now - warnedMs >= warnEveryMs) {
      log.warn("still waiting for WAL to be archived", {
        repository: repository.name,
        segment: next.name,
        durationMs: Math.round(now - progressMs),
      });
      warnedMs = now;
    }
    await clock.sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 1.5, longestPauseMs);
  }
}

/** What is not there yet, in order: by listing, because a long backup needs thousands of segments. */
async function listMissing(
  repository: Repository,
  needed: NeededWal,
  signal: AbortSignal,
): Promise<WalFileName[]> {
  const missing = new Map<string, WalFileName>();
  const directories = new Set<string>();
  for (const name of segmentsBetween(needed.first, needed.last, needed.segmentSizeBytes)) {
    const file = parseWalFileName(name);
    if (file === undefined) continue;
    missing.set(name, file);
    directories.add(walDirectory(repository.server, file));
  }
  for (const directory of directories) {
    for await (const entry of repository.store.list(directory, { signal })) {
      const name = parseWalObject(entry)?.file.name;
      if (name !== undefined) missing.delete(name);
    }
  }
  return [...missing.values()];
}

async function timedOut(
  options: ArchivePollOptions,
  repository: Repository,
  segment: string,
  count: number,
): Promise<EngineError> {
  const { timeoutMs, describeArchiver } = options;
  const others = count > 1 ? ` and ${count - 1} after it` : "";
  const archiver = await describeArchiver().catch(() => undefined);
  return new EngineError(
    "wal-timeout",
    `WAL segment "${segment}"${others} did not arrive in repository "${repository.name}" within ${formatDuration(timeoutMs)}`,
    {
      hint:
        archiver ??
        "Is archive_command set to this server's agent, and does it write to this repository? The server's log and pg_stat_archiver say what fails.",
      details: { segment, repository: repository.name, missing: count },
    },
  );
}
