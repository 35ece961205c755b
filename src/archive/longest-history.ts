import { throwIfAborted } from "../common/abort.ts";
import { mib } from "../common/units.ts";
import { parseTimelineHistory } from "../postgres/timeline-history.ts";
import type { WalFileName } from "../postgres/wal-file-name.ts";
import type { Repository } from "../repository/repository.ts";
import { readWalObject } from "../repository/wal-content.ts";
import { isStoreTrouble } from "../repository/several-repositories.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";
import type { FetchHints } from "./fetch-hints.ts";

type HistoryName = Extract<WalFileName, { readonly kind: "history" }>;

/**
 * The repositories in their order, but those first that tell most of a timeline's past: a history file that was cut behind a
 * line, or is another timeline's, has its form and tells less, and recovery would end on another timeline. What cannot be read
 * here shows when it is fetched.
 */
export async function longestHistoryFirst(
  repositories: readonly Repository[],
  file: HistoryName,
  hints: FetchHints,
  signal?: AbortSignal,
): Promise<readonly Repository[]> {
  if (repositories.length < 2) return repositories;
  const read = await Promise.all(
    repositories.map(async (repository) => ({
      repository,
      // A store in trouble would hold up the others; it is asked when nobody else has the file.
      length: hints.isResting(repository) ? -1 : await lengthIn(repository, file, hints, signal),
    })),
  );
  return read.toSorted((a, b) => b.length - a.length).map(({ repository }) => repository);
}

/** How many parents it names; -1 when there is none, or none that can be read. */
async function lengthIn(
  repository: Repository,
  file: HistoryName,
  hints: FetchHints,
  signal?: AbortSignal,
): Promise<number> {
  try {
    const [object] = await findWalObjects(repository, file, signal);
    if (object === undefined) return -1;
    const text = await readWalObject(repository, object, { maxBytes: mib, signal });
    return parseTimelineHistory(file.timeline, text.toString("utf8")).entries.length;
  } catch (error) {
    throwIfAborted(signal);
    if (isStoreTrouble(error)) hints.storeFailed(repository);
    return -1;
  }
}
