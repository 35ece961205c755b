import { mapConcurrent } from "../common/concurrency.ts";
import { describeError } from "../common/errors.ts";
import { isBackupId, type BackupId } from "../repository/backup-id.ts";
import { backupInfoKey, backupManifestKey, backupPrefix, basePrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { removeUnfinished, type RemovedObjects } from "./remove-backup.ts";
import {
  deadAfterMs,
  readRunningMark,
  runningMarkKey,
  type RunningMark,
} from "../repository/running-mark.ts";

/** A folder below `base/` without `backup.info`: a backup that is running, or was killed. */
export interface IncompleteBackup {
  readonly id: BackupId;
  /** Undefined for Barman's, and where the mark is damaged. */
  readonly mark: RunningMark | undefined;
  /** A manifest and no mark: it was visible once, and Barman deleted what it knows of it. */
  readonly wasComplete: boolean;
  /** The store's time of the newest object in it. */
  readonly lastSignAt: Date;
  readonly objects: number;
  readonly bytes: number;
}

const concurrency = 8;

/** Lists a repository's incomplete backups: one request per backup, and two more for each that is incomplete. */
export async function findIncompleteBackups(
  repository: Repository,
  signal?: AbortSignal,
): Promise<IncompleteBackup[]> {
  const options = signal ? { signal } : {};
  const prefix = basePrefix(repository.server);
  const ids: BackupId[] = [];
  for await (const entry of repository.store.list(prefix, { delimiter: "/", ...options })) {
    const step = entry.kind === "prefix" ? entry.prefix.slice(prefix.length, -1) : "";
    if (isBackupId(step)) ids.push(step);
  }
  const found = await mapConcurrent(ids, concurrency, async (id) => lookAt(repository, id, signal), signal);
  return found.filter((backup) => backup !== undefined);
}

async function lookAt(
  repository: Repository,
  id: BackupId,
  signal: AbortSignal | undefined,
): Promise<IncompleteBackup | undefined> {
  const { store, server } = repository;
  const options = signal ? { signal } : {};
  if ((await store.head(backupInfoKey(server, id), options)) !== undefined) return undefined;
  let lastSignMs = 0;
  let objects = 0;
  let bytes = 0;
  const records = { manifest: false, mark: false };
  for await (const entry of store.list(backupPrefix(server, id), options)) {
    if (entry.kind !== "object") continue;
    // Written between the question above and this list: it is complete after all.
    if (entry.key === backupInfoKey(server, id)) return undefined;
    lastSignMs = Math.max(lastSignMs, entry.modifiedAt.getTime());
    if (entry.key === backupManifestKey(server, id)) records.manifest = true;
    if (entry.key === runningMarkKey(server, id)) records.mark = true;
    objects++;
    bytes += entry.sizeBytes;
  }
  if (objects === 0) return undefined;
  const wasComplete = records.manifest && !records.mark;
  // The mark goes once `backup.info` is there, which may have come while the list was under way.
  if (wasComplete && (await store.head(backupInfoKey(server, id), options)) !== undefined) return undefined;
  const mark = await readRunningMark(repository, id, signal);
  return { id, mark, wasComplete, lastSignAt: new Date(lastSignMs), objects, bytes };
}

/** Who looks, when deciding whether an incomplete backup is dead. */
export interface DeathWitness {
  /** Now, by the store's clock where possible. */
  readonly now: Date;
  /** The mark of a running backup that holds the lock of its server: no other backup of that server can be running. */
  readonly lockHolder?: RunningMark;
}

export type LifeSign =
  | { readonly kind: "dead"; readonly reason: string }
  | { readonly kind: "perhaps-running"; readonly reason: string };

/**
 * Whether an incomplete backup is certainly not running. One of ours renews its mark every five minutes, so half an hour
 * of silence means death; one of the server whose lock the witness holds is dead whatever its age; so is what Barman
 * leaves of one of ours that it deletes. Barman gives no sign between its parts, so silence says nothing about one of its
 * backups: they are never called dead.
 */
export function lifeSign(backup: IncompleteBackup, witness: DeathWitness): LifeSign {
  const { mark } = backup;
  if (backup.wasComplete) return { kind: "dead", reason: "it was complete, and another tool deleted it" };
  if (mark === undefined) return { kind: "perhaps-running", reason: "it has no mark of ours" };
  const { lockHolder } = witness;
  if (
    lockHolder !== undefined &&
    lockHolder.systemIdentifier === mark.systemIdentifier &&
    lockHolder.host === mark.host &&
    lockHolder.dataDirectory === mark.dataDirectory
  ) {
    return { kind: "dead", reason: "its server's backup lock is held by another backup" };
  }
  const silentMs = witness.now.getTime() - backup.lastSignAt.getTime();
  if (silentMs > deadAfterMs) return { kind: "dead", reason: "it has given no sign of life for 30 minutes" };
  return {
    kind: "perhaps-running",
    reason: `its last sign of life was at ${backup.lastSignAt.toISOString()}`,
  };
}

/** For a backup that begins: removes what killed ones left behind. Trouble is logged; it must not cost a backup. */
export async function collectLeftovers(
  repository: Repository,
  own: BackupId,
  witness: DeathWitness,
  signal: AbortSignal,
): Promise<void> {
  const { log } = repository;
  try {
    for (const backup of await findIncompleteBackups(repository, signal)) {
      if (backup.id === own || lifeSign(backup, witness).kind !== "dead") continue;
      // The list may have taken long: the mark may have been renewed meanwhile.
      const again = await lookAt(repository, backup.id, signal);
      if (again === undefined || lifeSign(again, witness).kind !== "dead") continue;
      const removed = await removeUnfinished(repository, backup.id, signal);
      if (removed === undefined) continue;
      log.info("removed what an unfinished backup left behind", {
        repository: repository.name,
        backup: backup.id,
        ...removed,
      });
    }
  } catch (error) {
    if (signal.aborted) return;
    log.warn("could not remove what unfinished backups left behind", {
      repository: repository.name,
      error: describeError(error),
    });
  }
}

export interface IncompleteDeletion {
  readonly backup: IncompleteBackup;
  readonly outcome:
    | ({ readonly kind: "deleted" } & RemovedObjects)
    | { readonly kind: "would-delete"; readonly reason: string }
    | { readonly kind: "spared"; readonly reason: string };
}

/**
 * Deletes incomplete backups that are certainly dead; with `force` also those that may be running or are Barman's (a
 * backup that loses its parts notices before it becomes visible, and fails).
 */
export async function deleteIncompleteBackups(
  repository: Repository,
  options: {
    readonly now: Date;
    readonly force?: boolean;
    readonly dryRun?: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<IncompleteDeletion[]> {
  const results: IncompleteDeletion[] = [];
  for (const backup of await findIncompleteBackups(repository, options.signal)) {
    const sign = lifeSign(backup, { now: options.now });
    if (sign.kind !== "dead" && options.force !== true) {
      results.push({ backup, outcome: { kind: "spared", reason: sign.reason } });
    } else if (options.dryRun === true) {
      results.push({ backup, outcome: { kind: "would-delete", reason: sign.reason } });
    } else {
      const removed = await removeUnfinished(repository, backup.id, options.signal);
      const outcome =
        removed === undefined
          ? ({ kind: "spared", reason: "it has finished meanwhile" } as const)
          : ({ kind: "deleted", ...removed } as const);
      results.push({ backup, outcome });
    }
  }
  return results;
}
