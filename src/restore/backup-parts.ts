import { splitCodecExtension } from "../codec/codecs.ts";
import type { CodecName } from "../codec/codec.ts";
import { readBackupManifest, type BackupManifest } from "../repository/backup-manifest.ts";
import type { FinishedEntry } from "../repository/catalogue.ts";
import { backupPrefix, type ArchiveName } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { ObjectInfo } from "../storage/object-store.ts";

/** One object of a base backup: a complete tar archive, holding a part of one directory tree. */
export interface RestorePart {
  readonly key: string;
  /** File name below `base/<ID>/`. */
  readonly name: string;
  readonly archive: ArchiveName;
  readonly index: number;
  readonly codec: CodecName;
  readonly storedBytes: number;
  /** From the manifest: SHA-256 of the stored bytes, hex, and the size of the tar inside. Barman's backups have neither. */
  readonly sha256: string | undefined;
  readonly tarBytes: number | undefined;
}

/** A part that cannot be restored from: it is missing, or has another size than the manifest says. */
export interface DamagedPart {
  readonly key: string;
  readonly reason: string;
}

export interface BackupParts {
  /** `data`, and each tablespace's. */
  readonly archives: readonly ArchiveName[];
  /** `data` first, each archive's parts in their order. */
  readonly parts: readonly RestorePart[];
  /** Those of them that have the size that the manifest says. */
  readonly sound: readonly RestorePart[];
  readonly damaged: readonly DamagedPart[];
  readonly manifest: BackupManifest | undefined;
  readonly storedBytes: number;
  /** Why the backup cannot be restored: parts that are missing or not as they should be. Empty for a whole backup. */
  readonly problems: readonly string[];
}

/** Lists the parts of a backup and holds them against its manifest, or, without one, against what must be there. */
export async function readBackupParts(
  repository: Repository,
  backup: FinishedEntry,
  signal?: AbortSignal,
): Promise<BackupParts> {
  const prefix = backupPrefix(repository.server, backup.id);
  const objects: ObjectInfo[] = [];
  for await (const entry of repository.store.list(prefix, signal === undefined ? {} : { signal })) {
    if (entry.kind === "object") objects.push(entry);
  }
  const manifest = await readBackupManifest(repository, backup.id, signal);
  const oids = backup.info.tablespaces.map(({ oid }) => oid);
  return checkBackupParts(prefix, objects, { manifest, oids });
}

const partPattern = /^(data|[1-9]\d*)(?:_(\d{4,}))?\.tar$/;

/** The decision of `readBackupParts`, from the objects below `prefix`. */
export function checkBackupParts(
  prefix: string,
  objects: readonly ObjectInfo[],
  expected: { readonly manifest: BackupManifest | undefined; readonly oids: readonly number[] },
): BackupParts {
  const { manifest, oids } = expected;
  const listed = objects.flatMap((object) => parsePart(prefix, object, manifest) ?? []);
  const archives: readonly ArchiveName[] = ["data", ...oids.map((oid): ArchiveName => `${oid}`)];
  const wanted: ReadonlySet<string> = new Set(archives);
  const parts = listed
    .filter(({ name, archive }) => (manifest === undefined ? wanted.has(archive) : isNamedBy(manifest, name)))
    .sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  const damaged = manifest === undefined ? [] : damagedParts(prefix, manifest, parts);
  return {
    archives,
    parts,
    sound: parts.filter(({ key }) => !damaged.some((part) => part.key === key)),
    damaged,
    manifest,
    storedBytes: parts.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    problems:
      manifest === undefined
        ? problemsOfRows(parts, [...wanted])
        : problemsOfManifest(manifest, damaged, wanted),
  };
}

const isNamedBy = (manifest: BackupManifest, name: string): boolean =>
  manifest.parts.some((part) => part.name === name);

const rank = ({ archive }: RestorePart): number => (archive === "data" ? 0 : Number(archive));

function parsePart(
  prefix: string,
  object: ObjectInfo,
  manifest: BackupManifest | undefined,
): RestorePart | undefined {
  const name = object.key.slice(prefix.length);
  const { stem, codec } = splitCodecExtension(name);
  const match = partPattern.exec(stem);
  if (match === null) return undefined;
  const told = manifest?.parts.find((part) => part.name === name);
  return {
    key: object.key,
    name,
    archive: match[1] as ArchiveName,
    index: Number(match[2] ?? "0"),
    codec: codec.name,
    storedBytes: object.sizeBytes,
    sha256: told?.sha256,
    tarBytes: told?.tarBytes,
  };
}

function damagedParts(
  prefix: string,
  manifest: BackupManifest,
  parts: readonly RestorePart[],
): DamagedPart[] {
  return manifest.parts.flatMap(({ name, storedBytes }) => {
    const part = parts.find((candidate) => candidate.name === name);
    const key = `${prefix}${name}`;
    if (part === undefined) return [{ key, reason: `"${name}" is missing` }];
    if (part.storedBytes === storedBytes) return [];
    const reason = `"${name}" has ${part.storedBytes} bytes, but its manifest says ${storedBytes}`;
    return [{ key, reason }];
  });
}

function problemsOfManifest(
  manifest: BackupManifest,
  damaged: readonly DamagedPart[],
  wanted: ReadonlySet<string>,
): string[] {
  const archives = new Set(manifest.parts.map(({ archive }) => archive));
  const absent = [...wanted].filter((archive) => !archives.has(archive));
  return [
    ...damaged.map(({ reason }) => reason),
    ...absent.map((archive) => `its manifest names no part of "${archive}"`),
  ];
}

/** Without a manifest a lost last part cannot be noticed; a gap in the numbers, and a lost archive, can. */
function problemsOfRows(parts: readonly RestorePart[], wanted: readonly string[]): string[] {
  return wanted.flatMap((archive) => {
    const row = parts.filter((part) => part.archive === archive);
    if (row.length === 0) return [`"${archive}.tar" is missing`];
    return row.flatMap((part, position) => {
      const before = row[position - 1];
      if (before?.index === part.index)
        return [`"${before.name}" and "${part.name}" are two of the same part`];
      const due = before === undefined ? 0 : before.index + 1;
      if (part.index === due) return [];
      const number = due === 0 ? "" : `_${String(due).padStart(4, "0")}`;
      return [`"${archive}${number}.tar" is missing`];
    });
  });
}
