import type { WalFileName } from "../postgres/wal-file-name.ts";
import { compareKeys } from "../storage/object-key.ts";
import { walPrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { parseWalObject, type WalObject } from "../repository/wal-inventory.ts";

/** What one repository holds of a folder of `wals/`, by file name; a history file counts as a folder of its own. */
export type FolderContent = ReadonlyMap<string, WalObject>;

/** One folder in all repositories. */
export interface WalFolder {
  /** By repository; without those whose listing failed. */
  readonly contents: ReadonlyMap<string, FolderContent>;
}

interface Listed {
  readonly key: string;
  readonly files: Map<string, WalObject>;
}

/**
 * The WAL of several repositories side by side, folder by folder in the order of their names: listings may have any length,
 * and only one folder of each is in memory. A repository whose listing fails is left out from there on, and
 * `onFailed` is called once. Labels of backups are left out: nothing needs them.
 */
export async function* walFolders(
  repositories: readonly Repository[],
  onFailed: (repository: string, error: unknown) => void,
  signal?: AbortSignal,
): AsyncGenerator<WalFolder> {
  const readers = repositories.map((repository) => ({
    name: repository.name,
    folders: foldersOf(repository, signal),
    head: undefined as Listed | undefined,
  }));
  const failed = new Set<string>();
  const advance = async (reader: (typeof readers)[number]): Promise<void> => {
    try {
      const step = await reader.folders.next();
      reader.head = step.done === true ? undefined : step.value;
    } catch (error) {
      reader.head = undefined;
      failed.add(reader.name);
      onFailed(reader.name, error);
    }
  };
  await Promise.all(readers.map(advance));
  for (;;) {
    const [key] = readers.flatMap(({ head }) => head?.key ?? []).sort(compareKeys);
    if (key === undefined) return;
    const none: FolderContent = new Map();
    const contents = new Map<string, FolderContent>();
    for (const { name, head } of readers) {
      if (!failed.has(name)) contents.set(name, head?.key === key ? head.files : none);
    }
    yield { contents };
    await Promise.all(readers.filter(({ head }) => head?.key === key).map(advance));
  }
}

async function* foldersOf(repository: Repository, signal: AbortSignal | undefined): AsyncGenerator<Listed> {
  let current: Listed | undefined;
  for await (const entry of repository.store.list(walPrefix(repository.server), signal ? { signal } : {})) {
    const object = parseWalObject(entry);
    if (object === undefined || object.file.kind === "backup-label") continue;
    const key = folderOf(object.file);
    if (current !== undefined && current.key !== key) {
      yield current;
      current = undefined;
    }
    current ??= { key, files: new Map() };
    current.files.set(object.file.name, object);
  }
  if (current !== undefined) yield current;
}

/** As `walDirectory` has it: sorted as the keys are. */
function folderOf(file: WalFileName): string {
  return file.kind === "history" ? file.name : file.name.slice(0, 16);
}
