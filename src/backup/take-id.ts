import type { Clock } from "../common/clock.ts";
import { EngineError, isEngineError } from "../common/errors.ts";
import { backupIdAt, type BackupId } from "../repository/backup-id.ts";
import { backupPrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { Destination } from "./destination.ts";
import type { Destinations } from "./destinations.ts";
import { runningMarkKey, writeRunningMark, type RunningMark } from "../repository/running-mark.ts";

/** Seconds that may be taken in a row before something is wrong with the clock. */
const maxAttempts = 30;

/**
 * Takes an ID that no repository has, for a backup that starts now, and marks it as running in each. The ID is the
 * second of its start, so two backups at once (of a primary and its standby, say) cannot both have it: the later one
 * waits for the next second.
 */
export async function takeBackupId(
  destinations: Destinations,
  mark: RunningMark,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<BackupId> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const id = backupIdAt(clock.now());
    const taken = new Set<Destination>();
    await destinations.each(
      async (destination) => {
        if (await take(destination.repository, id, mark, destination.signal)) taken.add(destination);
      },
      { isAwaited: true },
    );
    if (destinations.live.every((destination) => taken.has(destination))) return id;
    await destinations.each(async (destination) => {
      const { repository, signal } = destination;
      if (taken.has(destination))
        await repository.store.delete([runningMarkKey(repository.server, id)], { signal });
    });
    await clock.sleep(1000 - (clock.now().getTime() % 1000), signal);
  }
  throw new EngineError("backup-failed", `could not find a free backup ID in ${maxAttempts} seconds`, {
    hint: "Does the clock stand still, or do other backups start every second?",
  });
}

async function take(
  repository: Repository,
  id: BackupId,
  mark: RunningMark,
  signal: AbortSignal,
): Promise<boolean> {
  // Barman's folders have no mark, so anything in the folder means that the ID is taken.
  for await (const _entry of repository.store.list(backupPrefix(repository.server, id), { signal }))
    return false;
  try {
    await writeRunningMark(repository, id, mark, { ifAbsent: true, signal });
    return true;
  } catch (error) {
    if (isEngineError(error, "object-exists")) return false;
    throw error;
  }
}
