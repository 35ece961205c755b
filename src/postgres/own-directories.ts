/*
 * Where PostgreSQL keeps data of the cluster and follows no links of anybody else's making: it links `pg_tblspc/<oid>` and
 * nothing below these. (`initdb --waldir` makes `pg_wal` a link; a backup needs nothing of what is in there.)
 */
const ownDirectories =
  /^(?:(?:base|global|pg_clog|pg_commit_ts|pg_logical|pg_multixact|pg_stat|pg_tblspc|pg_twophase|pg_xact|PG_\d+_\d+)(?:\/|$))/;

/** One of the links that PostgreSQL makes itself: `pg_tblspc/16384`. */
export const isTablespaceLink = (path: string): boolean => /^pg_tblspc\/\d+$/.test(path);

/**
 * Whether a link of this path, relative to the data directory or a tablespace, stands for data of PostgreSQL's: such a
 * link must neither be stored instead of the data nor be followed by a copy, which would write into its origin's files.
 */
export function linkHidesData(path: string): boolean {
  return ownDirectories.test(path) && !isTablespaceLink(path);
}
