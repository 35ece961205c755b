/**
 * What a base backup leaves out: what the next start makes anew, what belongs to the running server only, and what
 * would mislead a restored one. Barman's list (spec: 3.4) and that of PostgreSQL's own base backup
 * (`excludeDirContents` and `excludeFiles` in src/backend/backup/basebackup.c), which agree in all that matters.
 */

export type EntryRule =
  | "store"
  /** The directory itself, without what is in it; also when it is a link to one. */
  | "empty-directory"
  | "leave-out";

/** Directories of the data directory whose contents are of no use in a backup. PostgreSQL wants them to exist. */
const emptied: ReadonlySet<string> = new Set([
  "log",
  "pg_dynshmem",
  "pg_log",
  "pg_notify",
  // Slots of the source would hold back WAL for consumers that a restored server does not have.
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
  // Its WAL comes from the archive.
  "pg_wal",
  "pg_xlog",
]);

const leftOutAtTop: ReadonlySet<string> = new Set([
  // Those of an earlier restore, or of someone else's backup; ours is written last.
  "backup_label",
  "backup_manifest",
  // Restore rebuilds the links from backup.info, perhaps to other places; a map would win over them.
  "tablespace_map",
  "current_logfiles",
  "current_logfiles.tmp",
  "lost+found",
  "postgresql.auto.conf.tmp",
  "postmaster.opts",
  "postmaster.pid",
  // A restored server must be told what to recover, not find out that its source was a standby.
  "recovery.conf",
  "recovery.signal",
  "standby.signal",
]);

/** Temporary files of queries; a cache of the catalogue that could be stale; spools of our own. */
const leftOutPrefixes = ["pgsql_tmp", "pg_internal.init", ".tidemark-"] as const;

/** Stored last, on its own (see `last-part.ts`). */
export const controlFilePath = "global/pg_control";

/** The rule for an entry of the data directory; `path` is relative to it, `postgresql.conf` or `base/5/1259`. */
export function dataEntryRule(path: string): EntryRule {
  if (!path.includes("/")) {
    if (emptied.has(path)) return "empty-directory";
    if (leftOutAtTop.has(path)) return "leave-out";
  }
  return path === controlFilePath ? "leave-out" : tablespaceEntryRule(path);
}

/** The rule for an entry of a tablespace; `path` starts with its version's directory. */
export function tablespaceEntryRule(path: string): EntryRule {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return leftOutPrefixes.some((prefix) => name.startsWith(prefix)) ? "leave-out" : "store";
}
