import { describeError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import type { Log } from "../common/log.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import type { ArchiveWaiter, NeededWal } from "./archive-wait.ts";
import { requireParts, requireVisible, writeInfo, writeManifest } from "./commit.ts";
import type { Destination } from "./destination.ts";
import { runningMarkKey } from "../repository/running-mark.ts";

export interface CopyRecords {
  readonly id: BackupId;
  readonly manifest: BackupManifest;
  readonly info: FinishedBackupInfo;
  readonly neededWal: NeededWal;
}

/** What of tidying up may take so long. */
const tidyUpMs = 60_000;

/**
 * Makes a backup visible in one repository, which has all its parts: manifest, WAL, `backup.info`, in this order, each only
 * when the one before is there.
 */
export async function completeCopy(
  destination: Destination,
  { id, manifest, info, neededWal }: CopyRecords,
  deps: { readonly archive: ArchiveWaiter; readonly log: Log; readonly onWalComplete: () => void },
): Promise<void> {
  const { repository, signal } = destination;
  await writeManifest(repository, id, manifest, signal);
  faultPoint("backup:manifest-written");
  await deps.archive.waitFor(repository, neededWal, signal);
  deps.onWalComplete();
  await requireParts(repository, id, manifest, signal);
  faultPoint("backup:before-info");
  await writeInfo(repository, id, info, signal);
  destination.isVisible = true;
  await readBack(destination, { id, manifest }, deps.log);
  faultPoint("backup:info-written");
  await removeMark(destination, id, deps.log);
}

/** Trouble of the store is only logged: the backup is visible, and nothing says that it is not whole. */
async function readBack(
  destination: Destination,
  { id, manifest }: Pick<CopyRecords, "id" | "manifest">,
  log: Log,
): Promise<void> {
  const { repository, signal } = destination;
  try {
    await requireVisible(repository, id, manifest, signal);
  } catch (error) {
    if (isEngineError(error, "backup-failed")) {
      destination.isVisible = false;
      throw error;
    }
    log.warn("could not look again at the backup that was just made visible", {
      repository: repository.name,
      error: describeError(error),
    });
  }
}

async function removeMark({ repository }: Destination, id: BackupId, log: Log): Promise<void> {
  const { store, server, name } = repository;
  try {
    await store.delete([runningMarkKey(server, id)], { signal: AbortSignal.timeout(tidyUpMs) });
  } catch (error) {
    log.warn("could not remove the mark of a backup that is complete; it does no harm", {
      repository: name,
      error: describeError(error),
    });
  }
}
