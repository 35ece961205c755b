import { stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import type { ExpectedSystem } from "../archive/local-wal.ts";
import type { ArchiveTarget } from "../archive/archive-target.ts";
import { formatSystemIdentifier } from "../postgres/system-identifier.ts";
import type { AgentStatus } from "./agent-status.ts";
import type { ArchivePolicy } from "./archive-policy.ts";
import type { BacklogEntry } from "./backlog.ts";
import { diskFullInMs } from "./drain-meter.ts";
import type { Findings } from "./findings.ts";
import type { LastEvent, LookAhead } from "./look-ahead.ts";
import type { OwedBook } from "./owed-book.ts";
import type { RepositoryLanes } from "./repository-lanes.ts";
import { repositoryStatus } from "./repository-status.ts";

/** Gathers what `agentStatus` reports, in the agent. Throws nothing but what a bug throws. */
export async function collectStatus(from: {
  readonly look: LookAhead;
  readonly owed: OwedBook;
  readonly lanes: RepositoryLanes;
  readonly findings: Findings;
  readonly options: { readonly targets: readonly ArchiveTarget[]; readonly policy?: ArchivePolicy };
  readonly dataDirectory: string;
  readonly system: ExpectedSystem;
  readonly startedAt: Date;
  readonly clock: Clock;
}): Promise<AgentStatus> {
  const { look, options, dataDirectory, system, clock } = from;
  await look.scan();
  const walDirectory = join(dataDirectory, "pg_wal");
  const waiting = [...look.backlog.entries].filter(({ state }) => state !== "acknowledged");
  const nowMs = clock.monotonicMs();
  const growth = look.meter.growthBytesPerSecond(nowMs);
  const { freeBytes, ...full } = await diskSpace(walDirectory, growth);
  const since = await oldestSince(walDirectory, waiting);
  const owed = await from.owed.all();
  const policy = options.policy ?? "all";
  const { holes } = from.findings;
  return {
    pid: process.pid,
    systemIdentifier: formatSystemIdentifier(system.systemIdentifier),
    dataDirectory,
    startedAt: from.startedAt.toISOString(),
    waitingFiles: waiting.length,
    waitingBytes: waiting.filter(isSegment).length * system.walSegmentSizeBytes,
    ...(since === undefined ? {} : { oldestWaitingSince: since.toISOString() }),
    drainPerSecond: look.meter.drainPerSecond(nowMs),
    growthBytesPerSecond: growth,
    freeBytes,
    ...full,
    ...(look.lastArchived === undefined ? {} : { lastArchived: formatEvent(look.lastArchived) }),
    ...(look.lastFailure === undefined ? {} : { lastFailure: formatEvent(look.lastFailure) }),
    refused: waiting
      .flatMap(({ file, error }) =>
        error === undefined || error.retryable
          ? []
          : [{ name: file.name, code: error.code, message: error.message }],
      )
      .slice(0, 10),
    policy: typeof policy === "object" ? [...policy] : policy,
    repositories: options.targets.map((target) =>
      repositoryStatus(target, {
        lanes: from.lanes,
        book: from.owed,
        owed,
        findings: from.findings,
        waiting,
        segmentSizeBytes: system.walSegmentSizeBytes,
      }),
    ),
    ...(holes.files === 0 ? {} : { holes: { files: holes.files, names: holes.names.slice(0, 10) } }),
    rssBytes: process.memoryUsage.rss(),
  };
}

const isSegment = ({ file }: BacklogEntry) => file.kind === "segment" || file.kind === "partial";

function formatEvent(event: LastEvent) {
  return { ...event, at: event.at.toISOString() };
}

async function diskSpace(
  walDirectory: string,
  growthBytesPerSecond: number,
): Promise<{ freeBytes: number; diskFullInMs?: number }> {
  try {
    const { bavail, bsize } = await statfs(walDirectory);
    const freeBytes = bavail * bsize;
    const left = diskFullInMs(freeBytes, growthBytesPerSecond);
    return { freeBytes, ...(left === undefined ? {} : { diskFullInMs: left }) };
  } catch {
    // The directory is gone just now; the agent waits for it.
    return { freeBytes: 0 };
  }
}

/** When the oldest waiting file became ready. */
async function oldestSince(
  walDirectory: string,
  waiting: readonly BacklogEntry[],
): Promise<Date | undefined> {
  const names = waiting.map(({ file }) => file.name).sort();
  let oldest: Date | undefined;
  // The lowest names are the oldest, but for timelines; looking at ten thousand would cost more than it tells.
  for (const name of names.slice(0, 16)) {
    const stats = await stat(join(walDirectory, "archive_status", `${name}.ready`)).catch(() => undefined);
    if (stats !== undefined && (oldest === undefined || stats.mtime < oldest)) oldest = stats.mtime;
  }
  return oldest;
}
