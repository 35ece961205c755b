import { mapConcurrent } from "../common/concurrency.ts";
import { isEngineError, type EngineError } from "../common/errors.ts";
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
 * Reads everything that a plan is made from: the catalogue, the list of WAL files, all history files. One that is damaged
 * is a fact too: without it a timeline would seem to have no past, so a plan along it is refused (`planRecovery`), but no
 * other timeline needs it, since each history file tells the whole past.
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
  const damagedHistories = new Map<TimelineId, EngineError>();
  await mapConcurrent(
    inventory.histories.entries(),
    concurrency,
    async ([timeline, object]) => {
      try {
        const text = await readWalObject(repository, object, { maxBytes: historyLimitBytes, signal });
        histories.set(timeline, parseTimelineHistory(timeline, text.toString("utf8")));
      } catch (error) {
        if (!isEngineError(error, "object-corrupt") && !isEngineError(error, "postgres-format")) throw error;
        damagedHistories.set(timeline, error);
      }
    },
    signal,
  );
  return { catalogue, backups: finishedBackups(catalogue), inventory, histories, damagedHistories };
}
