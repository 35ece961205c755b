import { throwIfAborted } from "../common/abort.ts";
import { EngineError } from "../common/errors.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { TimelineHistory } from "../postgres/timeline-history.ts";
import type { TimelineId } from "../postgres/timeline.ts";
import type { BackupId } from "./backup-id.ts";
import { backupInfoContradictions, isSameBackup } from "./backup-info-check.ts";
import { readBackupManifest } from "./backup-manifest.ts";
import { finishedBackups, type CatalogueEntry, type FinishedEntry } from "./catalogue.ts";
import { readPlanFacts, type RepositoryFacts } from "./plan-facts.ts";
import type { Repository } from "./repository.ts";
import {
  concernsRepository,
  describeTrouble,
  worstTrouble,
  type RepositoryTrouble,
} from "./several-repositories.ts";
import type { WalObject } from "./wal-inventory.ts";
import type { ListedWal } from "./wal-reader.ts";

/** A backup as one repository has it. */
export interface BackupHolder {
  readonly repository: Repository;
  readonly entry: FinishedEntry;
}

/** What the repositories of one server hold together: whatever one of them has can be restored. */
export interface GatheredFacts {
  readonly facts: RepositoryFacts;
  /** Who has which finished backup, in the order in which they are to be asked. */
  readonly holders: ReadonlyMap<BackupId, readonly BackupHolder[]>;
  /** Those that could be read, in their order. */
  readonly listed: readonly ListedWal[];
  /** Those that could not. */
  readonly unread: readonly RepositoryTrouble[];
  /** What was passed over, for people. */
  readonly notes: readonly string[];
}

/** Reads all repositories at once. Throws only when none can be read: then the trouble that is worth waiting for. */
export async function gatherFacts(
  repositories: readonly Repository[],
  signal?: AbortSignal,
): Promise<GatheredFacts> {
  const unread: RepositoryTrouble[] = [];
  const read = await Promise.all(
    repositories.map(async (repository) => {
      try {
        return { repository, facts: await readPlanFacts(repository, { signal }) };
      } catch (error) {
        throwIfAborted(signal);
        if (!concernsRepository(error)) throw error;
        unread.push({ repository, error });
        return undefined;
      }
    }),
  );
  const known = await withoutStrangers(
    read.filter((each) => each !== undefined),
    signal,
  );
  if (known.length === 0) throw worstTrouble(unread);
  const system = commonSystem(known);
  const own = known.filter(({ facts }) => !isOfAnother(system, facts));
  const foreign = known.filter((each) => !own.includes(each));
  const merged = mergeFacts(own);
  const notes = [
    ...unread.map(describeTrouble),
    ...foreign.map(
      ({ repository }) => `repository "${repository.name}" is left out: it is of another PostgreSQL system`,
    ),
    ...merged.notes,
  ];
  return { ...merged, unread, notes };
}

/**
 * Where two repositories say different things of one backup, its manifests tell which `backup.info` is not its own: it was
 * damaged, or is another backup's. Older manifests do not.
 */
async function withoutStrangers(
  known: readonly KnownRepository[],
  signal: AbortSignal | undefined,
): Promise<readonly KnownRepository[]> {
  const told = Map.groupBy(
    known.flatMap(({ facts }) => facts.backups),
    ({ id }) => id,
  );
  const disputed = [...told].filter(
    ([, entries]) => new Set(entries.map((entry) => entry.infoSha256)).size > 1,
  );
  if (disputed.length === 0) return known;
  const ids = new Set(disputed.map(([id]) => id));
  return Promise.all(
    known.map(async ({ repository, facts }) => {
      const catalogue = await Promise.all(
        facts.catalogue.map(async (entry) =>
          ids.has(entry.id) && entry.kind === "done" ? settle(repository, entry, signal) : entry,
        ),
      );
      return { repository, facts: { ...facts, catalogue, backups: finishedBackups(catalogue) } };
    }),
  );
}

async function settle(
  repository: Repository,
  entry: FinishedEntry,
  signal: AbortSignal | undefined,
): Promise<CatalogueEntry> {
  const { id, keep, infoSha256 } = entry;
  try {
    const manifest = await readBackupManifest(repository, id, signal);
    if (manifest?.infoSha256 === undefined || manifest.infoSha256 === infoSha256) return entry;
    return { kind: "unreadable", id, keep, error: "it does not have the SHA-256 that the manifest says" };
  } catch (error) {
    throwIfAborted(signal);
    if (!concernsRepository(error)) throw error;
    return entry;
  }
}

/** The system that most of the backups are of. */
function commonSystem(known: readonly KnownRepository[]): SystemIdentifier | undefined {
  const systems = known.flatMap(({ facts }) =>
    facts.backups.flatMap(({ info }) => info.systemIdentifier ?? []),
  );
  const counted = [...Map.groupBy(systems, (system) => system).values()];
  return counted.toSorted((a, b) => b.length - a.length)[0]?.[0];
}

function isOfAnother(system: SystemIdentifier | undefined, { backups }: RepositoryFacts): boolean {
  const systems = backups.flatMap(({ info }) => info.systemIdentifier ?? []);
  return systems.length > 0 && system !== undefined && !systems.includes(system);
}

/** One repository and the facts read from it. */
export interface KnownRepository {
  readonly repository: Repository;
  readonly facts: RepositoryFacts;
}

/** The decision of `gatherFacts`. With one repository everything is as it says. */
export function mergeFacts(known: readonly KnownRepository[]): Omit<GatheredFacts, "unread"> {
  const notes: string[] = [];
  const ids = [...new Set(known.flatMap(({ facts }) => facts.catalogue.map(({ id }) => id)))].sort();
  const holders = new Map<BackupId, readonly BackupHolder[]>();
  const catalogue = ids.map((id): CatalogueEntry => {
    const { entry, holding, notes: said } = mergeEntries(id, known);
    if (holding.length > 0) holders.set(id, holding);
    notes.push(...said);
    return entry;
  });
  const histories = mergeHistories(known);
  return {
    facts: {
      catalogue,
      backups: finishedBackups(catalogue),
      inventory: {
        segments: mergeMaps(known.map(({ facts }) => facts.inventory.segments)),
        partials: mergeMaps(known.map(({ facts }) => facts.inventory.partials)),
        histories: mergeMaps(known.map(({ facts }) => facts.inventory.histories)),
      },
      ...histories.facts,
    },
    holders,
    listed: known.map(({ repository, facts }) => ({ repository, inventory: facts.inventory })),
    notes: [...notes, ...histories.notes],
  };
}

/** One ID in all repositories: whole copies that do not contradict themselves first, and only those of one backup. */
function mergeEntries(
  id: BackupId,
  known: readonly KnownRepository[],
): {
  readonly entry: CatalogueEntry;
  readonly holding: readonly BackupHolder[];
  readonly notes: readonly string[];
} {
  const found = known.flatMap(({ repository, facts }) =>
    facts.catalogue.filter((entry) => entry.id === id).map((entry) => ({ repository, entry })),
  );
  const done = found.flatMap(({ repository, entry }): BackupHolder[] =>
    entry.kind === "done" ? [{ repository, entry }] : [],
  );
  const doubtful = new Set(
    done.length < 2 ? [] : done.filter(({ entry }) => backupInfoContradictions(entry.info).length > 0),
  );
  const ordered = [...done.filter((each) => !doubtful.has(each)), ...doubtful];
  const best = ordered[0];
  if (best === undefined) {
    const [first] = found;
    if (first === undefined) throw new EngineError("internal", `nobody has backup "${id}"`);
    return { entry: first.entry, holding: [], notes: [] };
  }
  const holding = ordered.filter(({ entry }) => isSameBackup(entry.info, best.entry.info));
  const keep = found.find(({ entry }) => entry.keep !== undefined)?.entry.keep;
  const note = ({ repository }: { readonly repository: Repository }, what: string) =>
    `backup.info of "${id}" in repository "${repository.name}" ${what}; that of "${best.repository.name}" is used`;
  return {
    entry: { ...best.entry, keep },
    holding,
    notes: found.flatMap((each) => {
      if (each.entry.kind === "unreadable") return [note(each, `cannot be read (${each.entry.error})`)];
      if (each.entry.kind !== "done" || holding.some(({ repository }) => repository === each.repository))
        return [];
      return [note(each, "says otherwise")];
    }),
  };
}

/** Of several copies of a history file the longest counts: one that was cut, or is another timeline's, tells less. */
function mergeHistories(known: readonly KnownRepository[]) {
  const histories = new Map<TimelineId, TimelineHistory>();
  const damagedHistories = new Map<TimelineId, EngineError>();
  const notes: string[] = [];
  for (const { facts } of known) {
    for (const [timeline, history] of facts.histories) {
      const other = histories.get(timeline);
      if (other === undefined || history.entries.length > other.entries.length)
        histories.set(timeline, history);
    }
  }
  for (const { repository, facts } of known) {
    for (const [timeline, error] of facts.damagedHistories) {
      if (!histories.has(timeline)) damagedHistories.set(timeline, error);
      else notes.push(`the history of timeline ${timeline} in repository "${repository.name}" is damaged`);
    }
    for (const [timeline, history] of facts.histories) {
      if (history.entries.length === histories.get(timeline)?.entries.length) continue;
      notes.push(
        `the history of timeline ${timeline} in repository "${repository.name}" is shorter than another one`,
      );
    }
  }
  return { facts: { histories, damagedHistories }, notes };
}

/** The first repository that has an object counts. */
function mergeMaps<Key>(maps: readonly ReadonlyMap<Key, WalObject>[]): ReadonlyMap<Key, WalObject> {
  const [only] = maps;
  if (maps.length === 1 && only !== undefined) return only;
  const merged = new Map<Key, WalObject>();
  for (const map of maps) for (const [key, object] of map) if (!merged.has(key)) merged.set(key, object);
  return merged;
}
