import { throwIfAborted } from "../common/abort.ts";
import type { Repository } from "./repository.ts";
import { concernsRepository, worstTrouble, type RepositoryTrouble } from "./several-repositories.ts";
import { readWalObject } from "./wal-content.ts";
import type { WalInventory, WalObject } from "./wal-inventory.ts";

/** Reads the content of a listed WAL file; `check` throws when it is not what it must be. */
export type WalReader = (
  object: WalObject,
  options: {
    readonly maxBytes: number;
    readonly check?: (bytes: Buffer) => void;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<Buffer>;

/** One repository, and what it was found to hold. */
export interface ListedWal {
  readonly repository: Repository;
  readonly inventory: WalInventory;
}

/**
 * Reads a WAL file from the first repository that has a good copy. Those that have a bad one are told to `onTrouble` once
 * another one was found to have a good one. Throws as `readWalObject` and as `check` does when there is none.
 */
export function walReaderOf(
  listed: readonly ListedWal[],
  onTrouble: (trouble: RepositoryTrouble, object: WalObject, from: Repository) => void = () => undefined,
): WalReader {
  return async (wanted, { maxBytes, check, signal }) => {
    const troubles: (RepositoryTrouble & { readonly object: WalObject })[] = [];
    for (const { repository, inventory } of listed) {
      const object = sameFile(inventory, wanted);
      if (object === undefined) continue;
      try {
        const bytes = await readWalObject(repository, object, { maxBytes, signal });
        check?.(bytes);
        for (const trouble of troubles) onTrouble(trouble, trouble.object, repository);
        return bytes;
      } catch (error) {
        throwIfAborted(signal);
        if (!concernsRepository(error)) throw error;
        troubles.push({ repository, error, object });
      }
    }
    throw worstTrouble(troubles);
  };
}

function sameFile(inventory: WalInventory, { file }: WalObject): WalObject | undefined {
  switch (file.kind) {
    case "segment":
      return inventory.segments.get(file.segment);
    case "partial":
      return inventory.partials.get(file.segment);
    case "history":
      return inventory.histories.get(file.timeline);
    case "backup-label":
      return undefined;
  }
}
