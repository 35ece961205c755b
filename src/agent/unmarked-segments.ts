import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileError, systemErrorCode } from "../common/errors.ts";
import { parseWalFileName, segmentNumberOf, type WalFileName } from "../postgres/wal-file-name.ts";

/**
 * Segments that PostgreSQL finished and never marked. It writes the mark right after the segment, in the same step
 * (XLogWrite, xlog.c), so a server that is killed between the two leaves one without: it is noticed only when it is to be
 * removed (XLogArchiveCheckDone, xlogarchive.c), which `wal_keep_size` or a slot can put off for ever, and until then the
 * archive has a hole that no restore gets across.
 *
 * Marks are written in order, so a segment without one is finished when a later segment of its timeline has one. What lies
 * before the first mark is left alone: archiving may have been turned on only then.
 */

/** Pure: the segments among `walNames` that lie between marked ones of their timeline and have no mark themselves. */
export function unmarkedSegments(
  walNames: readonly string[],
  statusNames: readonly string[],
  segmentSizeBytes: number,
): readonly WalFileName[] {
  const marked = new Set(statusNames.flatMap(markedName));
  const byTimeline = Map.groupBy([...marked].filter(isSegment), timelineOf);
  const spans = new Map(
    [...byTimeline].map(([timeline, names]) => {
      const sorted = names.toSorted();
      return [timeline, { first: sorted[0] ?? "", last: sorted.at(-1) ?? "", count: sorted.length }];
    }),
  );
  const isWhole = [...spans.values()].every(
    ({ first, last, count }) => numberOf(last, segmentSizeBytes) - numberOf(first, segmentSizeBytes) < count,
  );
  if (isWhole) return [];
  return walNames.flatMap((name) => {
    const span = isSegment(name) ? spans.get(timelineOf(name)) : undefined;
    if (span === undefined || marked.has(name) || name <= span.first || name >= span.last) return [];
    return parseWalFileName(name) ?? [];
  });
}

/**
 * The same, of a `pg_wal`. A mark that is renamed while its folder is listed can be missed, so each is looked for once more. None
 * while there is no folder.
 */
export async function readUnmarkedSegments(
  walDirectory: string,
  segmentSizeBytes: number,
): Promise<readonly WalFileName[]> {
  const statusDirectory = join(walDirectory, "archive_status");
  const list = async () =>
    unmarkedSegments(await names(walDirectory), await names(statusDirectory), segmentSizeBytes);
  const found = await list();
  if (found.length === 0) return found;
  const again = new Set((await list()).map(({ name }) => name));
  return found.filter(({ name }) => again.has(name));
}

async function names(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw fileError("read", directory, error);
  }
}

const isSegment = (name: string): boolean => /^[0-9A-F]{24}$/.test(name);
const timelineOf = (name: string): string => name.slice(0, 8);

function markedName(statusName: string): string[] {
  const name = /^(.+)\.(?:ready|done)$/.exec(statusName)?.[1];
  return name === undefined ? [] : [name];
}

function numberOf(name: string, segmentSizeBytes: number): bigint {
  const file = parseWalFileName(name);
  return file?.kind === "segment" ? segmentNumberOf(file.segment, segmentSizeBytes) : 0n;
}
