import { mapConcurrent } from "../common/concurrency.ts";
import { describeError, EngineError, isEngineError } from "../common/errors.ts";
import { isBackupId, type BackupId } from "./backup-id.ts";
import type { BackupInfo, FinishedBackupInfo } from "./backup-info.ts";
import { digestBackupInfo, parseBackupInfo } from "./backup-info-text.ts";
import { backupInfoKey, basePrefix, keepKey } from "./keys.ts";
import { readSmallObject } from "./read-object.ts";
import { describeRepository, type Repository } from "./repository.ts";
import { isUnusable } from "./several-repositories.ts";

export type KeepTarget = "full" | "standalone";

/** One folder below `base/`. */
export type CatalogueEntry = { readonly id: BackupId; readonly keep: KeepTarget | undefined } & (
  | {
      readonly kind: "done";
      readonly info: FinishedBackupInfo;
      /** SHA-256 of the text that it was read from, hex. */
      readonly infoSha256?: string;
    }
  | { readonly kind: "failed"; readonly info: Exclude<BackupInfo, FinishedBackupInfo> }
  /** No `backup.info`: a backup still running, or killed. */
  | { readonly kind: "incomplete" }
  /** A `backup.info` that cannot be read; the other backups are not affected. */
  | { readonly kind: "unreadable"; readonly error: string }
);

export type FinishedEntry = Extract<CatalogueEntry, { kind: "done" }>;

const limitBytes = 4 * 1024 * 1024;
const concurrency = 8;

/** Every backup of a repository, oldest ID first. One listing and two small reads per backup. */
export async function readCatalogue(repository: Repository, signal?: AbortSignal): Promise<CatalogueEntry[]> {
  const ids: BackupId[] = [];
  const prefix = basePrefix(repository.server);
  for await (const entry of repository.store.list(prefix, {
    delimiter: "/",
    ...(signal ? { signal } : {}),
  })) {
    if (entry.kind !== "prefix") continue;
    const step = entry.prefix.slice(prefix.length, -1);
    if (isBackupId(step)) ids.push(step);
  }
  return mapConcurrent(ids, concurrency, async (id) => readCatalogueEntry(repository, id, signal), signal);
}

export async function readCatalogueEntry(
  repository: Repository,
  id: BackupId,
  signal?: AbortSignal,
): Promise<CatalogueEntry> {
  const options = { limitBytes, ...(signal ? { signal } : {}) };
  const key = backupInfoKey(repository.server, id);
  const [text, keepText] = await Promise.all([
    orWhyCorrupt(readSmallObject(repository.store, key, options)),
    orWhyCorrupt(readSmallObject(repository.store, keepKey(repository.server, id), options)),
  ]);
  // One that is damaged is a mark all the same.
  const keep = parseKeep(keepText instanceof EngineError ? "" : keepText);
  if (text === undefined) return { kind: "incomplete", id, keep };
  if (text instanceof EngineError) return { kind: "unreadable", id, keep, error: describeError(text) };
  try {
    const info = parseBackupInfo(text, `${repository.store.url}/${key}`);
    return info.kind === "done"
      ? { kind: "done", id, keep, info, infoSha256: digestBackupInfo(text) }
      : { kind: "failed", id, keep, info };
  } catch (error) {
    return { kind: "unreadable", id, keep, error: describeError(error) };
  }
}

/** An encrypted store notices by itself that an object is damaged, and a disk may not read it: that must not hide the other backups. */
async function orWhyCorrupt(reading: Promise<string | undefined>): Promise<string | EngineError | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isUnusable(error) || isEngineError(error, "encryption-key")) return error;
    throw error;
  }
}

/** Anything but the two words Barman writes is taken as the stronger one: a keep mark must never be lost to a typo. */
function parseKeep(text: string | undefined): KeepTarget | undefined {
  if (text === undefined) return undefined;
  return text.trim() === "standalone" ? "standalone" : "full";
}

export function finishedBackups(catalogue: readonly CatalogueEntry[]): FinishedEntry[] {
  return catalogue
    .filter((entry): entry is FinishedEntry => entry.kind === "done")
    .sort((a, b) => a.info.endTime.getTime() - b.info.endTime.getTime() || (a.id < b.id ? -1 : 1));
}

/** Finds an entry by ID, by name (the newest of several), or by `latest` (the newest finished one). Throws `backup-absent`. */
export function findBackup(
  repository: Repository,
  catalogue: readonly CatalogueEntry[],
  wanted: string,
): CatalogueEntry {
  const found = matchingBackups(catalogue, wanted).at(-1);
  if (found !== undefined) return found;
  const known = catalogue.map((entry) => entry.id);
  throw new EngineError(
    "backup-absent",
    `no backup "${wanted}" in repository "${describeRepository(repository)}"`,
    {
      hint:
        known.length === 0
          ? "The repository holds no backup yet."
          : `It holds ${known.slice(-5).join(", ")}${known.length > 5 ? " and older ones" : ""}.`,
    },
  );
}

/** Everything that an ID, a name or `latest` may mean: several where a name was given twice, the newest last. */
export function matchingBackups(catalogue: readonly CatalogueEntry[], wanted: string): CatalogueEntry[] {
  const finished = finishedBackups(catalogue);
  if (wanted === "latest") return finished.slice(-1);
  const byId = catalogue.filter((entry) => entry.id === wanted);
  return byId.length > 0 ? byId : finished.filter(({ info }) => info.backupName === wanted);
}
