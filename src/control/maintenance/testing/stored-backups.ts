import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { silentLog } from "../../../common/log.ts";
import { parseSystemIdentifier } from "../../../postgres/system-identifier.ts";
import type { BackupId } from "../../../repository/backup-id.ts";
import { formatBackupInfo } from "../../../repository/backup-info-text.ts";
import { finishedBackups, readCatalogue } from "../../../repository/catalogue.ts";
import { writeIdentity } from "../../../repository/identity.ts";
import { backupInfoKey, walPrefix } from "../../../repository/keys.ts";
import type { Repository } from "../../../repository/repository.ts";
import { parseServerName } from "../../../repository/server-name.ts";
import { backupEntry } from "../../../repository/testing/plan-facts.ts";
import { openFileStore } from "../../../storage/file/file-store.ts";
import type { ObjectStore } from "../../../storage/object-store.ts";
import type { ClusterRepositories, ClusterRepository } from "../../clusters/cluster-repositories.ts";

export const systemIdentifier = "7000000000000000001";

/** A repository in a directory, with the objects that maintenance reads: no data, but all that is known of it. */
export interface StoredBackups {
  readonly directory: string;
  readonly repository: Repository;
  /** Claims it for a system, as the first WAL file does. */
  claim(system?: string): Promise<void>;
  /** A finished backup of a day of November 2026, ended at midnight, with one segment of WAL. */
  put(day: number): Promise<BackupId>;
  /** Days of the finished backups that are there. */
  days(): Promise<readonly number[]>;
  segments(): Promise<readonly string[]>;
}

export async function storedBackups(
  name = "store",
  wrap: (store: ObjectStore) => ObjectStore = (store) => store,
): Promise<StoredBackups> {
  const directory = await mkdtemp(join(tmpdir(), "tidemark-maintenance-"));
  onTestFinished(async () => rm(directory, { recursive: true }));
  const store = wrap(await openFileStore({ root: directory }));
  const repository: Repository = { name, server: parseServerName("pg"), store, log: silentLog };
  const { server } = repository;
  return {
    directory,
    repository,
    claim: async (system = systemIdentifier) =>
      writeIdentity(
        repository,
        {
          systemIdentifier: parseSystemIdentifier(system),
          walSegmentSizeBytes: 16 * 1024 * 1024,
          walCodecs: ["none"],
        },
        { ifAbsent: true },
      ),
    put: async (day) => {
      const digits = String(day).padStart(2, "0");
      const segment = day.toString(16).toUpperCase();
      const entry = backupEntry({
        id: `202611${digits}T000000`,
        begin: `0/${segment}000028`,
        end: `0/${segment}000138`,
        endTime: `2026-11-${digits}T00:00:00Z`,
      });
      const { beginWal } = entry.info;
      await store.put(`${walPrefix(server)}${beginWal.slice(0, 16)}/${beginWal}`, [Buffer.from("wal")]);
      await store.put(backupInfoKey(server, entry.id), [Buffer.from(formatBackupInfo(entry.info))]);
      return entry.id;
    },
    days: async () =>
      finishedBackups(await readCatalogue(repository)).map(({ id }) => Number(id.slice(6, 8))),
    segments: async () => {
      const keys: string[] = [];
      for await (const entry of store.list(walPrefix(server))) {
        if (entry.kind === "object") keys.push(entry.key.slice(-2));
      }
      return keys;
    },
  };
}

/** The repositories of the only cluster, as a test gives them. */
export class GivenRepositories implements ClusterRepositories {
  all: ClusterRepository[];
  /** Thrown instead, when there is one. */
  failure: Error | undefined;

  constructor(...all: ClusterRepository[]) {
    this.all = all;
  }

  // As a real one, which may have to open them.
  async of(): Promise<readonly ClusterRepository[]> {
    if (this.failure !== undefined) throw this.failure;
    return this.all;
  }
}

export function clusterRepository(
  { repository }: StoredBackups,
  retentionPolicy?: string,
): ClusterRepository {
  return { repository, objectStore: repository.name, retentionPolicy, retentionIntervalSeconds: 1800 };
}
