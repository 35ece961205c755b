import type { ArchiveName } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { ReplacedObject } from "../repository/several-repositories.ts";
import type { BackupParts, RestorePart } from "./backup-parts.ts";

/** A backup as one repository has it. */
export interface BackupSource {
  readonly repository: Repository;
  readonly parts: BackupParts;
}

/** A piece of a backup that is unpacked, or taken back, as a whole: one part, or all parts of an archive in their order. */
export interface UnpackUnit {
  readonly archive: ArchiveName;
  /** A path that comes again replaces the earlier one, as Barman's archives may have it; in ours it is damage. */
  readonly overwrite: boolean;
  /** The same content in several repositories, in the order in which they are to be asked. */
  readonly copies: readonly UnitCopy[];
}

export interface UnitCopy {
  readonly repository: Repository;
  readonly parts: readonly RestorePart[];
}

/** Ways to restore one archive, best first. Going from one to the next means to begin the archive anew. */
export interface ArchiveLayouts {
  readonly archive: ArchiveName;
  readonly ways: readonly (readonly UnpackUnit[])[];
}

export interface LayoutPlan {
  readonly archives: readonly ArchiveLayouts[];
  /** Why the backup cannot be restored from all of these together. Empty when it can. */
  readonly problems: readonly string[];
  /** Parts that one repository lacks and another one has. */
  readonly replaced: readonly ReplacedObject[];
}

/**
 * How a backup is put together from the repositories that have it. Parts of one number stand in for each other where the
 * tars inside have the same sizes throughout: then one reading fed them, whatever the codecs. Otherwise an archive comes from
 * one repository or another as a whole, and so does one without a manifest, in which later parts replace files of earlier ones.
 */
export function planLayouts(sources: readonly BackupSource[]): LayoutPlan {
  const names = [...new Set(sources.flatMap(({ parts }) => parts.archives))];
  const archives = names.map((archive) => ({ archive, ways: waysOf(archive, sources) }));
  const isWhole = archives.length > 0 && archives.every(({ ways }) => ways.length > 0);
  return {
    archives,
    problems: isWhole ? [] : problemsOf(sources),
    replaced: isWhole ? missingParts(sources) : [],
  };
}

function problemsOf(sources: readonly BackupSource[]): string[] {
  const [only] = sources;
  if (sources.length === 1 && only !== undefined) return [...only.parts.problems];
  return sources.flatMap(({ repository, parts }) =>
    parts.problems.map((problem) => `${problem} (repository "${repository.name}")`),
  );
}

function waysOf(archive: ArchiveName, sources: readonly BackupSource[]): (readonly UnpackUnit[])[] {
  const ours = sources.filter(({ parts }) => parts.manifest !== undefined);
  const shapes = [...Map.groupBy(ours, (source) => shapeOf(archive, source)).values()];
  const others = sources.filter(({ parts }) => parts.manifest === undefined && parts.problems.length === 0);
  return [
    ...shapes.flatMap((alike) => unitsOf(archive, alike) ?? []),
    ...others.map((source) => [wholeArchive(archive, source)]),
  ];
}

/** Numbers of the parts and the sizes of the tars inside. */
function shapeOf(archive: ArchiveName, { parts }: BackupSource): string {
  const told = (parts.manifest?.parts ?? []).filter((part) => part.archive === archive);
  return told.map(({ tarBytes }) => tarBytes).join();
}

/** Undefined when there is a part that none of them has. */
function unitsOf(archive: ArchiveName, alike: readonly BackupSource[]): [readonly UnpackUnit[]] | undefined {
  const indexes = (alike[0]?.parts.manifest?.parts ?? [])
    .filter((part) => part.archive === archive)
    .map((_, position) => position);
  const units = indexes.map((index): UnpackUnit => ({
    archive,
    overwrite: false,
    copies: alike.flatMap(({ repository, parts }) =>
      parts.sound
        .filter((part) => part.archive === archive && part.index === index)
        .map((part) => ({ repository, parts: [part] })),
    ),
  }));
  return units.length > 0 && units.every(({ copies }) => copies.length > 0) ? [units] : undefined;
}

function wholeArchive(archive: ArchiveName, { repository, parts }: BackupSource): UnpackUnit {
  const row = parts.parts.filter((part) => part.archive === archive);
  return { archive, overwrite: true, copies: [{ repository, parts: row }] };
}

function missingParts(sources: readonly BackupSource[]): ReplacedObject[] {
  return sources.flatMap(({ repository, parts }) => {
    const from = sources.find(
      (other) => other.repository !== repository && other.parts.problems.length === 0,
    );
    if (from === undefined) return [];
    return parts.damaged.map(({ key, reason }) => ({
      repository: repository.name,
      key,
      reason,
      from: from.repository.name,
    }));
  });
}
