import { corruptData } from "../codec/corrupt.ts";
import type { TarMember } from "../codec/tar/entry.ts";
import { isTablespaceLink, linkHidesData } from "../postgres/own-directories.ts";
import { controlPath, heldControlPath, markerName } from "./marker.ts";

/*
 * What of a PGDATA archive is unpacked, and where. Writers leave most of this out by themselves; Barman's archives may
 * hold some of it.
 */

/**
 * Files that would mislead the restored server. A stale `tablespace_map` makes it link to the old locations; the
 * signal files and `recovery.conf` set up a recovery that is not ours (or stop the server from starting at all);
 * `backup_manifest` describes other files.
 */
const leftOut: ReadonlySet<string> = new Set([
  "backup_manifest",
  "postmaster.opts",
  "postmaster.pid",
  "promote",
  "recovery.conf",
  "recovery.signal",
  "standby.signal",
  "tablespace_map",
  "tablespace_map.old",
  "backup_label.old",
  markerName,
  heldControlPath,
]);

const configurationFiles: ReadonlySet<string> = new Set([
  "pg_hba.conf",
  "pg_ident.conf",
  "postgresql.auto.conf",
  "postgresql.conf",
]);

/** What is in these the server does without: where one was a link, a directory takes its place. */
const worthless: ReadonlySet<string> = new Set([
  "log",
  "pg_dynshmem",
  "pg_log",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat",
  "pg_stat_tmp",
  "pg_subtrans",
]);

/** For `TreeWriterOptions.placeOf` of PGDATA. Throws `object-corrupt` for a link in the place of data. */
export function placeInDataDirectory(path: string, kind: TarMember["kind"]): string | undefined {
  if (path === controlPath) return kind === "file" ? heldControlPath : undefined;
  if (leftOut.has(path)) return undefined;
  // WAL comes from the archive only; and where pg_wal was a link, a plain directory takes its place.
  if (path === "pg_wal") return kind === "directory" ? path : undefined;
  if (path.startsWith("pg_wal/")) return kind === "directory" ? path : undefined;
  // These are edited for recovery, and the file behind a link may be that of a live server.
  if (kind === "symlink" && configurationFiles.has(path)) return undefined;
  if (kind === "symlink") {
    // These links are made anew, from backup.info and the mapping.
    if (isTablespaceLink(path) || worthless.has(path)) return undefined;
    refuseHiddenData(path);
  }
  return path;
}

/**
 * For a tablespace's archive: what PostgreSQL keeps there is in `PG_<major>_<catalog version>`, nothing else is ours.
 * Throws `object-corrupt` for a link in the place of data.
 */
export function placeInTablespace(path: string, kind: TarMember["kind"]): string | undefined {
  if (path !== "." && !/^PG_\d+_\d+(\/|$)/.test(path)) return undefined;
  if (kind === "symlink") refuseHiddenData(path);
  return path;
}

/** Other tools store such links as they are: on the origin's host the restored server would write into its files. */
function refuseHiddenData(path: string): void {
  if (!linkHidesData(path)) return;
  throw corruptData(
    "tar",
    `"${path}" is a link in place of data, and the data behind it is not in the backup`,
  );
}

/**
 * Directories without which a server does not start, or fails later; it makes none of them itself. (initdb makes them:
 * `subdirs` in initdb.c.) Archives leave out some, and object stores cannot keep empty ones elsewhere.
 */
export const neededDirectories: readonly string[] = [
  "base",
  "global",
  "pg_commit_ts",
  "pg_dynshmem",
  "pg_logical",
  "pg_logical/mappings",
  "pg_logical/snapshots",
  "pg_multixact",
  "pg_multixact/members",
  "pg_multixact/offsets",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat",
  "pg_stat_tmp",
  "pg_subtrans",
  "pg_tblspc",
  "pg_twophase",
  "pg_wal",
  "pg_wal/archive_status",
  "pg_xact",
];
