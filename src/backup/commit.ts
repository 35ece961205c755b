import { EngineError } from "../common/errors.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import { formatBackupInfo } from "../repository/backup-info-text.ts";
import { formatBackupManifest, type BackupManifest } from "../repository/backup-manifest.ts";
import { backupInfoKey, backupManifestKey, backupPrefix, removalKey } from "../repository/keys.ts";
import { describeRepository, type Repository } from "../repository/repository.ts";

export async function writeManifest(
  repository: Repository,
  id: BackupId,
  manifest: BackupManifest,
  signal: AbortSignal,
): Promise<void> {
  const key = backupManifestKey(repository.server, id);
  await repository.store.put(key, [Buffer.from(formatBackupManifest(manifest))], { signal });
}

/**
 * Looks at a backup that was just made visible: whoever took it for dead and was about to remove it may have missed that
 * moment. With `removalKey` seen from both sides, one of the two notices: the remover says that it removes and then looks
 * for `backup.info`; we write `backup.info` and then look whether somebody removes.
 *
 * @throws EngineError `backup-failed`.
 */
export async function requireVisible(
  repository: Repository,
  id: BackupId,
  manifest: BackupManifest,
  signal: AbortSignal,
): Promise<void> {
  const stored = await requireParts(repository, id, manifest, signal);
  const what = `backup "${id}" in "${describeRepository(repository)}"`;
  if (stored.has(removalKey(repository.server, id).slice(backupPrefix(repository.server, id).length))) {
    throw lost(what, "is being removed");
  }
  if (!stored.has("backup.info")) throw lost(what, "is no longer visible");
}

/**
 * Asks the store for every part once more, with one listing: whoever deleted one meanwhile (a lifecycle rule, an
 * operator who took the backup for dead) must not leave us with a visible backup that has a hole. Returns the size of
 * everything in the backup's folder, by its name there.
 *
 * @throws EngineError `backup-failed`.
 */
export async function requireParts(
  repository: Repository,
  id: BackupId,
  manifest: BackupManifest,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const prefix = backupPrefix(repository.server, id);
  const stored = new Map<string, number>();
  for await (const entry of repository.store.list(prefix, { signal })) {
    if (entry.kind === "object") stored.set(entry.key.slice(prefix.length), entry.sizeBytes);
  }
  const where = `"${describeRepository(repository)}"`;
  if (!stored.has("x-tidemark/manifest.json"))
    throw lost(`the manifest of backup "${id}" in ${where}`, "is gone");
  for (const { name, storedBytes } of manifest.parts) {
    const found = stored.get(name);
    if (found === storedBytes) continue;
    const state = found === undefined ? "is gone" : `has ${found} bytes instead of ${storedBytes}`;
    throw lost(`part "${name}" of backup "${id}" in ${where}`, state);
  }
  return stored;
}

function lost(what: string, state: string): EngineError {
  return new EngineError("backup-failed", `${what} ${state}`, {
    hint: "Did something else delete it: a lifecycle rule of the store, or a clean-up while the backup was running?",
  });
}

/** Makes the backup visible in a repository. Everything else is in place by now. */
export async function writeInfo(
  repository: Repository,
  id: BackupId,
  info: FinishedBackupInfo,
  signal: AbortSignal,
): Promise<void> {
  const key = backupInfoKey(repository.server, id);
  await repository.store.put(key, [Buffer.from(formatBackupInfo(info))], { signal });
}
