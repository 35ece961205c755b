import { EngineError } from "../common/errors.ts";

/** A line of the file `tablespace_map`: where the link `pg_tblspc/<oid>` pointed when the backup was taken. */
export interface TablespaceMapEntry {
  /** 1 to 2^32-1. */
  readonly oid: number;
  /** Absolute, or relative to the data directory for a tablespace made in place. */
  readonly path: string;
}

/**
 * Writes the file as PostgreSQL does (`do_pg_backup_start` in xlog.c): `oid path`, where a backslash stands before every
 * newline, carriage return and backslash of the path. No entries make an empty text; leave the file out then.
 */
export function formatTablespaceMap(entries: readonly TablespaceMapEntry[]): string {
  return entries.map(({ oid, path }) => `${oid} ${path.replace(/[\n\r\\]/g, "\\$&")}\n`).join("");
}

/**
 * Reads the file as PostgreSQL does (`read_tablespace_map` in xlogrecovery.c): lines end at a newline or carriage return
 * without a backslash before it, empty lines do not count, and the last line must be finished. Throws `postgres-format`.
 */
export function parseTablespaceMap(text: string): TablespaceMapEntry[] {
  const entries: TablespaceMapEntry[] = [];
  let line = "";
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if (char === "\n" || char === "\r") {
      if (line !== "") entries.push(parseEntry(line));
      line = "";
    } else if (char === "\\") {
      index++;
      if (index === text.length) throw invalid("it ends within an escape");
      line += text.charAt(index);
    } else {
      line += char;
    }
  }
  if (line !== "") throw invalid(`its last line "${line}" is not finished`);
  return entries;
}

function parseEntry(line: string): TablespaceMapEntry {
  const match = /^(\d{1,10}) (.+)$/s.exec(line);
  const oid = Number(match?.[1]);
  const path = match?.[2];
  if (path === undefined || oid < 1 || oid > 0xffff_ffff) {
    throw invalid(`line "${line}" is not a tablespace and its path`);
  }
  return { oid, path };
}

function invalid(reason: string): EngineError {
  return new EngineError("postgres-format", `the tablespace map is invalid: ${reason}`);
}
