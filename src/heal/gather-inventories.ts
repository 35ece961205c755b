import { throwIfAborted } from "../common/abort.ts";
import { EngineError } from "../common/errors.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { requireNotClaimedBefore } from "../repository/claimed-before.ts";
import type { Repository } from "../repository/repository.ts";
import {
  concernsRepository,
  worstTrouble,
  type RepositoryTrouble,
} from "../repository/several-repositories.ts";
import { readHealInventory, type HealInventory } from "./inventory.ts";

/** The repositories of one system, and those that were left out. */
export interface GatheredInventories {
  readonly inventories: readonly HealInventory[];
  readonly system: SystemIdentifier | undefined;
  readonly walSegmentSizeBytes: number | undefined;
  /** They could not be read. */
  readonly unread: readonly RepositoryTrouble[];
  /** They are of another system. */
  readonly foreign: readonly Repository[];
}

/**
 * Reads what all repositories hold; one that is empty and was not before counts as one that cannot be read. Throws only when none can be. `expected` is the system where it is known; otherwise
 * it is the one that most of the backups and identities name.
 */
export async function gatherInventories(
  repositories: readonly Repository[],
  options: { readonly expected?: SystemIdentifier; readonly signal?: AbortSignal } = {},
): Promise<GatheredInventories> {
  const { expected, signal } = options;
  const unread: RepositoryTrouble[] = [];
  const read = await Promise.all(
    repositories.map(async (repository) => {
      try {
        const inventory = await readHealInventory(repository, signal);
        if (isEmpty(inventory)) await requireNotClaimedBefore(repository, "identity");
        return [inventory];
      } catch (error) {
        throwIfAborted(signal);
        if (!concernsRepository(error)) throw error;
        unread.push({ repository, error });
        return [];
      }
    }),
  );
  const all = read.flat();
  if (all.length === 0 && unread.length > 0) throw worstTrouble(unread);
  const system = expected ?? mostOf(all.flatMap(namedSystems));
  const own = all.filter((inventory) => isOf(system, inventory));
  return {
    inventories: own,
    system,
    walSegmentSizeBytes: mostOf(own.flatMap(namedSizes)),
    unread,
    foreign: all.filter((inventory) => !own.includes(inventory)).map(({ repository }) => repository),
  };
}

/** Throws `system-mismatch` when repositories that are to have the same content are of different systems. */
export function requireOneSystem({ foreign, system }: GatheredInventories): void {
  const [first] = foreign;
  if (first === undefined) return;
  throw new EngineError(
    "system-mismatch",
    `repository "${first.name}" belongs to another PostgreSQL system than ${system}`,
    {
      hint: "Only repositories of one system are copied to each other; give another system another server name.",
    },
  );
}

const isEmpty = ({ identity, backups, wal }: HealInventory): boolean =>
  identity === undefined && backups.size === 0 && wal.size === 0;

function systemsOfBackups({ backups }: HealInventory): SystemIdentifier[] {
  return [...backups.values()].flatMap(({ entry }) =>
    entry.kind === "done" && entry.info.systemIdentifier !== undefined ? [entry.info.systemIdentifier] : [],
  );
}

function namedSystems(inventory: HealInventory): SystemIdentifier[] {
  const { identity } = inventory;
  return [
    ...systemsOfBackups(inventory),
    ...(typeof identity === "object" ? [identity.systemIdentifier] : []),
  ];
}

/** Its backups count before its identity, of which there is only one that may be damaged. */
function isOf(system: SystemIdentifier | undefined, inventory: HealInventory): boolean {
  const named = systemsOfBackups(inventory);
  const says = named.length > 0 ? named : namedSystems(inventory);
  return system === undefined || says.length === 0 || says.includes(system);
}

function namedSizes({ identity, backups }: HealInventory): number[] {
  return [
    ...[...backups.values()].flatMap(({ entry }) =>
      entry.kind === "done" ? [entry.info.walSegmentSizeBytes] : [],
    ),
    ...(typeof identity === "object" ? [identity.walSegmentSizeBytes] : []),
  ];
}

function mostOf<T>(values: readonly T[]): T | undefined {
  const groups = [...Map.groupBy(values, (value) => value).values()];
  return groups.toSorted((a, b) => b.length - a.length)[0]?.[0];
}
