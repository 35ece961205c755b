import type { BackupId } from "../repository/backup-id.ts";
import { backupInfoKey, backupPrefix, removalKey } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";

/** Keys per delete call. */
const batchSize = 1000;

export interface RemovedObjects {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Removes what an unfinished backup left, unless it turns out to have finished: then undefined is returned. It is not too
 * late for that until the last moment, and a backup that finishes even later notices (`requireVisible`) and fails.
 */
export async function removeUnfinished(
  repository: Repository,
  id: BackupId,
  signal?: AbortSignal,
): Promise<RemovedObjects | undefined> {
  const { store, server } = repository;
  const options = signal ? { signal } : {};
  const key = removalKey(server, id);
  await store.put(key, [Buffer.from("{}\n")], options);
  if ((await store.head(backupInfoKey(server, id), options)) === undefined) {
    return removeBackupObjects(repository, id, signal);
  }
  await store.delete([key], options);
  return undefined;
}

/**
 * Removes everything below a backup's folder, unfinished uploads included: `backup.info` first, so that a crash in
 * between leaves a folder that nobody takes for a backup. (Barman removes it last, and for a while lists a backup that
 * cannot be restored.) Repeating it finishes the job.
 */
export async function removeBackupObjects(
  repository: Repository,
  id: BackupId,
  signal?: AbortSignal,
): Promise<RemovedObjects> {
  const { store, server } = repository;
  const options = signal ? { signal } : {};
  const prefix = backupPrefix(server, id);
  await store.delete([backupInfoKey(server, id)], options);
  for await (const upload of store.abandonedUploads(prefix, options)) {
    await store.abortAbandonedUpload(upload, options);
  }
  let objects = 0;
  let bytes = 0;
  // Listed to the end before anything goes: not every store lists well what is being deleted.
  const keys: string[] = [];
  for await (const entry of store.list(prefix, options)) {
    if (entry.kind !== "object") continue;
    keys.push(entry.key);
    objects++;
    bytes += entry.sizeBytes;
  }
  await deleteInBatches(repository, keys, signal);
  return { objects, bytes };
}

export async function deleteInBatches(
  repository: Repository,
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < keys.length; at += batchSize) {
    await repository.store.delete(keys.slice(at, at + batchSize), signal ? { signal } : {});
  }
}
