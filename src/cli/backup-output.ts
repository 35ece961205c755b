import type { BackupResult, MissingCopy } from "../backup/backup-result.ts";
import { describeError, EngineError } from "../common/errors.ts";
import { formatBytes, formatDuration, formatTime } from "../common/units.ts";
import { formatLsn } from "../postgres/lsn.ts";
import { formatFacts } from "./output.ts";

/** What a command says of a backup that it took. */

export function resultText({ id, info, manifest, copies, missing, durationMs }: BackupResult): string {
  return formatFacts([
    ["backup", info.backupName === undefined ? id : `${id} (${info.backupName})`],
    ["restorable from", formatTime(info.endTime)],
    ["LSN", `${formatLsn(info.beginLsn)} to ${formatLsn(info.endLsn)}, timeline ${info.timeline}`],
    [
      "size",
      `${formatBytes(manifest.dataBytes)} in ${manifest.fileCount} files, stored as ${copies.map(({ storedBytes }) => formatBytes(storedBytes)).join(" and ")}`,
    ],
    // With one repository there is no question where it is.
    ...(copies.length + missing.length === 1
      ? []
      : [["in", copies.map(({ repository }) => repository).join(", ")] as const]),
    ...missing.map((copy) => ["not in", missingText(copy)] as const),
    [
      "page checksums",
      manifest.pagesVerified ? `verified, ${manifest.damagedPageCount} damaged` : "off in this cluster",
    ],
    ["took", formatDuration(durationMs)],
  ]);
}

function missingText({ repository, error }: MissingCopy): string {
  return `${repository}: ${describeError(error)}`;
}

export function resultJson(result: BackupResult): Record<string, unknown> {
  const { id, info, manifest, storedBytes, copies, missing, durationMs } = result;
  return {
    id,
    name: info.backupName ?? null,
    beginTime: info.beginTime.toISOString(),
    endTime: info.endTime.toISOString(),
    beginLsn: formatLsn(info.beginLsn),
    endLsn: formatLsn(info.endLsn),
    beginWal: info.beginWal,
    endWal: info.endWal,
    timeline: info.timeline,
    storedBytes,
    durationMs: Math.round(durationMs),
    repositories: copies.map(({ repository, form, storedBytes: bytes }) => ({
      name: repository,
      compression: form.codec,
      storedBytes: bytes,
    })),
    missing: missing.map(({ repository, error }) => ({
      name: repository,
      code: error.code,
      message: describeError(error),
    })),
    manifest,
  };
}

/** Throws `backup-damaged-pages`. */
export function requireSoundPages({ id, manifest }: BackupResult): void {
  if (manifest.damagedPageCount === 0) return;
  const pages = manifest.damagedPages.slice(0, 5).map(({ path, block }) => `"${path}" block ${block}`);
  throw new EngineError(
    "backup-damaged-pages",
    `backup "${id}" is complete, but ${manifest.damagedPageCount} pages have wrong checksums: ${pages.join(", ")}`,
    {
      hint: "The data files themselves are damaged. Keep older backups, look at the disk, and check the tables with amcheck.",
    },
  );
}

/**
 * Throws `backup-partial`: whoever asked for a backup in several places must not take it for granted that it is in all of
 * them, and a script sees the exit status alone.
 */
export function requireEverywhere({ id, copies, missing }: BackupResult): void {
  if (missing.length === 0) return;
  const complete = copies.map(({ repository }) => `"${repository}"`).join(", ");
  throw new EngineError(
    "backup-partial",
    `backup "${id}" is complete in ${complete}, but not in ${missing.map(missingText).join("; ")}`,
    {
      hint: "It can be restored from where it is. When the other repository works again, copy the backup there or take another one.",
      details: { missing: missing.map(({ repository }) => repository) },
    },
  );
}
