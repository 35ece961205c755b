/**
 * The names of the files that hold tables and indexes (`GetRelationPath` in src/common/relpath.c): `16384`,
 * `16384_vm`, `16384.2`, and `t3_16385` for a temporary one.
 */

export type RelationFork = "main" | "fsm" | "vm" | "init";

export interface RelationFileName {
  /** The relation's file number, as text. */
  readonly relation: string;
  readonly fork: RelationFork;
  /** Which file of the fork: 0, 1, … of `blocksPerFile` blocks each (`RELSEG_SIZE`). */
  readonly segment: number;
  /** Of a session's temporary table: worthless without that session. */
  readonly isTemporary: boolean;
}

const pattern = /^(t\d+_)?(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;

/** Undefined for every other name. Only meaningful in a relation directory. */
export function parseRelationFileName(name: string): RelationFileName | undefined {
  const match = pattern.exec(name);
  if (match === null) return undefined;
  const [, temporary, relation = "", fork, segment] = match;
  return {
    relation,
    fork: (fork as RelationFork | undefined) ?? "main",
    segment: Number(segment ?? 0),
    isTemporary: temporary !== undefined,
  };
}

const directoryPattern = /^(?:global|base\/\d+|(?:pg_tblspc\/\d+\/)?PG_\d+_\d+\/\d+)$/;

/** Whether a directory, by its path below the data directory or a tablespace, holds files of relations. */
export function isRelationDirectory(path: string): boolean {
  return directoryPattern.test(path);
}
