import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExpectedSystem } from "../../archive/local-wal.ts";
import { mapConcurrent } from "../../common/concurrency.ts";
import { EngineError, fileError, isEngineError, systemErrorCode } from "../../common/errors.ts";
import { lsn, type Lsn } from "../../postgres/lsn.ts";
import { parseTimelineHistory, type TimelineHistory } from "../../postgres/timeline-history.ts";
import type { TimelineId } from "../../postgres/timeline.ts";
import {
  parseWalFileName,
  parseWalSegmentName,
  segmentStartLsn,
  timelineHistoryFileName,
  type WalSegmentName,
} from "../../postgres/wal-file-name.ts";
import { checkSegmentHeader, walLongHeaderBytes } from "../../postgres/wal-page-header.ts";
import { walkWalSegment, type WalContinuation } from "../../postgres/wal-records.ts";
import type { LeftWal } from "./plan-rescue.ts";

const lanes = 8;

/** Looks through the `pg_wal` of a server that does not run any more. Throws `file-io`, `postgres-format`. */
export async function readLeftWal(walDirectory: string, expected: ExpectedSystem): Promise<LeftWal> {
  const names = await namesIn(walDirectory);
  const statusNames = await namesIn(join(walDirectory, "archive_status"));
  const segments = names.flatMap((name) => {
    const file = parseWalFileName(name);
    return file?.kind === "segment" ? [file] : [];
  });
  const valid = new Map<string, TimelineId>();
  await mapConcurrent(segments, lanes, async ({ name, segment, timeline }) => {
    if (await isValidSegment(join(walDirectory, name), segment, expected)) valid.set(name, timeline);
  });
  const newest = [...valid.values()].toSorted((a, b) => b - a)[0];
  if (newest === undefined) {
    throw new EngineError("file-io", `"${walDirectory}" holds no WAL segment that is whole`);
  }
  return {
    names,
    statusNames,
    valid: new Set(valid.keys()),
    history: await readHistory(walDirectory, newest),
  };
}

/** Of a timeline, from `pg_wal`. The first timeline has none. Throws `file-io`, `postgres-format`. */
export async function readHistory(walDirectory: string, timeline: TimelineId): Promise<TimelineHistory> {
  const path = join(walDirectory, timelineHistoryFileName(timeline));
  try {
    return parseTimelineHistory(timeline, await readFile(path, "utf8"));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" && timeline === 1) return { timeline, entries: [] };
    throw error instanceof EngineError ? error : fileError("read", path, error);
  }
}

/** How far back the record is looked for that the last segment only goes on with. */
const segmentsWalked = 4;

/**
 * Where the valid WAL of a chain of segments ends, and whether its last segment was filled. Undefined for an empty chain. Throws
 * `file-io`.
 */
export async function endOfChain(
  walDirectory: string,
  chain: readonly string[],
  segmentSizeBytes: number,
): Promise<{ readonly endLsn: Lsn; readonly isLastWhole: boolean } | undefined> {
  let endLsn: Lsn | undefined;
  let isLastWhole: boolean | undefined;
  let next: WalContinuation | undefined;
  for (const name of chain.slice(-segmentsWalked).toReversed()) {
    const path = join(walDirectory, name);
    const bytes = await readFile(path).catch((error: unknown) => {
      throw fileError("read", path, error);
    });
    const startLsn = segmentStartLsn(parseWalSegmentName(name), segmentSizeBytes);
    const walked = walkWalSegment(bytes, { startLsn, segmentSizeBytes, next });
    isLastWhole ??= walked.state !== "ends";
    endLsn = walked.endLsn;
    if (walked.lastRecordLsn !== undefined) break;
    next = walked.continuation;
  }
  return endLsn === undefined || isLastWhole === undefined ? undefined : { endLsn: lsn(endLsn), isLastWhole };
}

/** Whether a segment is what its name says, as far as its header tells, and as long as it should be. Throws `file-io`. */
export async function isValidSegment(
  path: string,
  name: WalSegmentName,
  expected: ExpectedSystem,
): Promise<boolean> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(walLongHeaderBytes),
      0,
      walLongHeaderBytes,
      0,
    );
    checkSegmentHeader(buffer.subarray(0, bytesRead), {
      name,
      systemIdentifier: expected.systemIdentifier,
      fileSizeBytes: size,
    });
    return size === expected.walSegmentSizeBytes;
  } catch (error) {
    if (isEngineError(error, "wal-refused")) return false;
    throw fileError("read", path, error);
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw fileError("read", directory, error);
  }
}
