import { mapConcurrent } from "../common/concurrency.ts";
import { parseTimelineHistory, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { finishedBackups, readCatalogue, type CatalogueEntry } from "./catalogue.ts";
import type { PlanFacts } from "./recovery-plan.ts";
import type { Repository } from "./repository.ts";
import { readWalObject } from "./wal-content.ts";
import { readWalInventory } from "./wal-inventory.ts";

/** What was read for the planner, and beside it the catalogue it was taken from. */
export interface RepositoryFacts extends PlanFacts {
  /** Every folder below `base/`, unfinished and unreadable backups included. */
  readonly catalogue: readonly CatalogueEntry[];
}

/** History files are a line a promotion. */
const historyLimitBytes = 1024 * 1024;
const concurrency = 8;

/**
 * Reads everything that a plan is made from: the catalogue, the list of WAL files, all history files. Throws
 * `object-corrupt` or `postgres-format` for a history file that cannot be read: without it a timeline would seem to have
 * no past, and the plan would be wrong.
 */
export async function readPlanFacts(
  repository: Repository,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<RepositoryFacts> {
  const { signal } = options;
  const [catalogue, inventory] = await Promise.all([
    readCatalogue(repository, signal),
    readWalInventory(repository, signal),
  ]);
  const histories = new Map<TimelineId, TimelineHistory>();
  await mapConcurrent(
    inventory.histories.entries(),
    concurrency,
    async ([timeline, object]) => {
      const text = await readWalObject(repository, object, { maxBytes: historyLimitBytes, signal });
      histories.set(timeline, parseTimelineHistory(timeline, text.toString("utf8")));
    },
    signal,
  );
  return { catalogue, backups: finishedBackups(catalogue), inventory, histories };
}
