import { EngineError } from "../common/errors.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";
import { formatBackupInfo } from "../repository/backup-info-text.ts";
import { formatBackupManifest, type BackupManifest } from "../repository/backup-manifest.ts";
import { backupInfoKey, backupManifestKey, backupPrefix } from "../repository/keys.ts";
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
 * Asks the store for every part once more, with one listing: whoever deleted one meanwhile (a lifecycle rule, an
 * operator who took the backup for dead) must not leave us with a visible backup that has a hole.
 *
 * @throws EngineError `backup-failed`.
 */
export async function requireParts(
  repository: Repository,
  id: BackupId,
  manifest: BackupManifest,
  signal: AbortSignal,
): Promise<void> {
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
