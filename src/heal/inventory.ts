import { signalOption } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { describeError, isEngineError } from "../common/errors.ts";
import { parseTimelineHistory, type TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import { isBackupId, type BackupId } from "../repository/backup-id.ts";
import { readBackupManifest, type BackupManifest } from "../repository/backup-manifest.ts";
import { readCatalogueEntry, type CatalogueEntry } from "../repository/catalogue.ts";
import { readIdentity, type RepositoryIdentity } from "../repository/identity.ts";
import { basePrefix, walPrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { readRunningMark, type RunningMark } from "../repository/running-mark.ts";
import { parseWalObject, type WalObject } from "../repository/wal-inventory.ts";
import { readWalObject } from "../repository/wal-content.ts";

/** Something stored that was read and is not as it must be. */
export interface Damage {
  /** Name of the repository. */
  readonly repository: string;
  readonly key: string;
  readonly reason: string;
}

/** One folder below `base/`, as it is stored. */
export interface StoredBackup {
  readonly id: BackupId;
  readonly entry: CatalogueEntry;
  /** Of `backup.info` as it is stored; undefined for one that does not say that it is done. */
  readonly infoSha256: string | undefined;
  /** Sizes of everything in the folder, by the name there. */
  readonly objects: ReadonlyMap<string, number>;
  /** When something in it was written last, by the store's clock. */
  readonly newestAt: Date;
  /** Undefined when there is none; text says why it cannot be read. */
  readonly manifest: BackupManifest | string | undefined;
  /** Only looked for where there is no `backup.info`. */
  readonly mark: RunningMark | undefined;
}

/** Everything that one repository holds, as listings and small objects say it. */
export interface HealInventory {
  readonly repository: Repository;
  /** Text says why it cannot be read. */
  readonly identity: RepositoryIdentity | string | undefined;
  readonly backups: ReadonlyMap<BackupId, StoredBackup>;
  /** By the file's name; several where a name exists under more than one extension. */
  readonly wal: ReadonlyMap<string, readonly WalObject[]>;
  readonly histories: ReadonlyMap<TimelineId, TimelineHistory>;
  /** Seen in passing: history files that cannot be read. */
  readonly damages: readonly Damage[];
}

const concurrency = 8;
const smallBytes = 4 * 1024 * 1024;

/** Lists a repository and reads its small objects. Throws what the store throws. */
export async function readHealInventory(
  repository: Repository,
  signal?: AbortSignal,
): Promise<HealInventory> {
  const [identity, folders, wal] = await Promise.all([
    readable(async () => readIdentity(repository, signal)),
    listFolders(repository, signal),
    listWal(repository, signal),
  ]);
  const backups = await mapConcurrent(
    folders,
    concurrency,
    async ([id, folder]) => readStoredBackup(repository, id, folder, signal),
    signal,
  );
  return {
    repository,
    identity,
    backups: new Map(backups.map((backup) => [backup.id, backup])),
    wal,
    ...(await readHistories(repository, wal, signal)),
  };
}

/** The result, or why the object is damaged. */
async function readable<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (isEngineError(error, "object-corrupt") || isEngineError(error, "postgres-format")) {
      return describeError(error);
    }
    throw error;
  }
}

type Folder = Pick<StoredBackup, "objects" | "newestAt">;

async function listFolders(
  repository: Repository,
  signal?: AbortSignal,
): Promise<ReadonlyMap<BackupId, Folder>> {
  const prefix = basePrefix(repository.server);
  const folders = new Map<BackupId, { readonly objects: Map<string, number>; newestAt: Date }>();
  for await (const entry of repository.store.list(prefix, signalOption(signal))) {
    if (entry.kind !== "object") continue;
    const [id = "", ...rest] = entry.key.slice(prefix.length).split("/");
    if (!isBackupId(id) || rest.length === 0) continue;
    const folder = folders.get(id) ?? { objects: new Map<string, number>(), newestAt: new Date(0) };
    folder.objects.set(rest.join("/"), entry.sizeBytes);
    if (entry.modifiedAt > folder.newestAt) folder.newestAt = entry.modifiedAt;
    folders.set(id, folder);
  }
  return folders;
}

async function readStoredBackup(
  repository: Repository,
  id: BackupId,
  folder: Folder,
  signal: AbortSignal | undefined,
): Promise<StoredBackup> {
  const [entry, manifest] = await Promise.all([
    readCatalogueEntry(repository, id, signal),
    readable(async () => readBackupManifest(repository, id, signal)),
  ]);
  const mark = entry.kind === "incomplete" ? await readRunningMark(repository, id, signal) : undefined;
  const infoSha256 = entry.kind === "done" ? entry.infoSha256 : undefined;
  return { id, entry, infoSha256, manifest, mark, ...folder };
}

async function listWal(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, readonly WalObject[]>> {
  const wal = new Map<string, WalObject[]>();
  for await (const entry of repository.store.list(walPrefix(repository.server), signalOption(signal))) {
    const object = parseWalObject(entry);
    if (object === undefined) continue;
    const others = wal.get(object.file.name);
    if (others === undefined) wal.set(object.file.name, [object]);
    else others.push(object);
  }
  return wal;
}

async function readHistories(
  repository: Repository,
  wal: ReadonlyMap<string, readonly WalObject[]>,
  signal: AbortSignal | undefined,
): Promise<Pick<HealInventory, "histories" | "damages">> {
  const histories = new Map<TimelineId, TimelineHistory>();
  const damages: Damage[] = [];
  for (const object of [...wal.values()].flat()) {
    const { file } = object;
    if (file.kind !== "history") continue;
    const history = await readable(async () => {
      const bytes = await readWalObject(repository, object, { maxBytes: smallBytes, signal });
      return parseTimelineHistory(file.timeline, bytes.toString("utf8"));
    });
    if (typeof history === "string") {
      damages.push({ repository: repository.name, key: object.key, reason: history });
    } else histories.set(file.timeline, history);
  }
  return { histories, damages };
}
