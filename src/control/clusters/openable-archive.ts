import type { CodecName } from "../../codec/codec.ts";
import type { ArchiveSpec } from "../../instance/archive-spec.ts";
import type { RepositorySettings } from "../../repository/repository-settings.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ClusterArchive } from "./cluster-archive.ts";
import { writeStoreFiles } from "./store-files.ts";
import { resolveStore, type Resolution } from "./store-resolution.ts";

/** An archive with its stores as a process opens them: credentials and certificates are in files. */
export interface OpenableArchive {
  readonly archive: ClusterArchive;
  /** In the order of the archive's stores. */
  readonly repositories: readonly RepositorySettings[];
}

/** Looks up what the stores of an archive refer to, and writes what must be in files into `directory`. Throws `file-io`. */
export async function openableArchive(
  archive: ClusterArchive,
  given: { readonly store: ResourceStore; readonly namespace: string; readonly directory: string },
): Promise<Resolution<OpenableArchive>> {
  const { store, namespace, directory } = given;
  const resolved = archive.stores.map((item) => resolveStore(store, namespace, item));
  const problems = resolved.flatMap((item) => (item.kind === "missing" ? item.problems : []));
  if (problems.length > 0) return { kind: "missing", problems };
  const ready = resolved.flatMap((item) => (item.kind === "ok" ? [item.value] : []));
  const settings = await writeStoreFiles(directory, ready);
  const repositories = settings.map((item, index): RepositorySettings => {
    const server = ready[index]?.serverName;
    return server === undefined || server === archive.serverName ? item : { ...item, server };
  });
  return { kind: "ok", value: { archive, repositories } };
}

/** How it is written. What is not said in `wal` and `data` is as the first store has it; of compression, as each has it. */
export interface ArchiveForm {
  readonly requireEmptyArchive: boolean;
  readonly wal?:
    | { readonly compression?: CodecName | undefined; readonly maxParallel?: number | undefined }
    | undefined;
  readonly data?:
    | {
        readonly compression?: CodecName | undefined;
        readonly jobs?: number | undefined;
        readonly immediateCheckpoint?: boolean | undefined;
      }
    | undefined;
}

/** What a process needs to know to write into an archive. */
export function archiveSpecOf({ archive, repositories }: OpenableArchive, given: ArchiveForm): ArchiveSpec {
  const { configuration } = archive.stores[0] ?? {};
  const wal: NonNullable<ArchiveForm["wal"]> = { ...configuration?.wal, ...given.wal };
  const data: NonNullable<ArchiveForm["data"]> = { ...configuration?.data, ...given.data };
  const usual = { wal: wal.compression ?? "none", base: data.compression ?? "none" } as const;
  return {
    server: archive.serverName,
    repositories: repositories.map((settings, index) =>
      withCompression(settings, usual, {
        wal: given.wal?.compression ?? archive.stores[index]?.configuration.wal?.compression ?? "none",
        base: given.data?.compression ?? archive.stores[index]?.configuration.data?.compression ?? "none",
      }),
    ),
    walCompression: usual.wal,
    // `maxParallel` is how many Barman uploads at once, 1 unless said; ours is more by default and no less for being told.
    ...(wal.maxParallel === undefined ? {} : { walConcurrency: wal.maxParallel }),
    policy: archive.policy,
    backupCompression: usual.base,
    ...(data.jobs === undefined ? {} : { backupJobs: data.jobs }),
    fastCheckpoint: data.immediateCheckpoint ?? false,
    requireEmptyArchive: given.requireEmptyArchive,
    tags: { ...configuration?.tags },
  };
}

interface Compression {
  readonly wal: CodecName;
  readonly base: CodecName;
}

/** A store says only what is different there. */
function withCompression(
  settings: RepositorySettings,
  usual: Compression,
  own: Compression,
): RepositorySettings {
  const compression = {
    ...(own.wal === usual.wal ? {} : { wal: own.wal }),
    ...(own.base === usual.base ? {} : { base: own.base }),
  };
  return Object.keys(compression).length === 0 ? settings : { ...settings, compression };
}
