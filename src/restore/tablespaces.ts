import { isAbsolute, join, relative, resolve } from "node:path";
import { EngineError } from "../common/errors.ts";
import type { FinishedBackupInfo } from "../repository/backup-info.ts";

/** Where one tablespace of a backup goes. */
export interface TablespaceTarget {
  readonly name: string;
  readonly oid: number;
  /** Where it was on the host of the backup. */
  readonly location: string;
  /** Absolute path of the directory it is unpacked into. */
  readonly directory: string;
  /** `link`: `pg_tblspc/<oid>` becomes a symbolic link to it. `in-place`: that is the directory itself. */
  readonly kind: "link" | "in-place";
}

/** From the name, OID or old location of a tablespace to its new directory. */
export type TablespaceMap = ReadonlyMap<string, string>;

/**
 * Reads mappings of the form `NAME=DIR` or `OLDPATH=DIR`. A `=` in a path is written `\=`, as for pg_basebackup. Throws
 * `usage`.
 */
export function parseTablespaceMap(texts: readonly string[]): TablespaceMap {
  const map = new Map<string, string>();
  for (const text of texts) {
    const match = /^((?:[^=\\]|\\.)+)=((?:[^=\\]|\\.)+)$/s.exec(text);
    const unescape = (part: string | undefined) => (part ?? "").replaceAll("\\=", "=");
    const [from, to] = [unescape(match?.[1]), unescape(match?.[2])];
    if (match === null || !isAbsolute(to)) {
      throw new EngineError("usage", `"${text}" is not a tablespace mapping`, {
        hint: "Write the tablespace's name or old location and its new directory, for example fast=/mnt/nvme/fast.",
      });
    }
    if (map.has(from)) throw new EngineError("usage", `tablespace "${from}" is mapped twice`);
    map.set(from, resolve(to));
  }
  return map;
}

/**
 * Where each tablespace of the backup goes. One that lay inside PGDATA moves with it unless it is mapped. Throws `usage`
 * for a mapping that fits none, and `target-directory` for directories that lie inside each other or inside the data
 * directory.
 */
export function tablespaceTargets(
  info: Pick<FinishedBackupInfo, "tablespaces" | "pgdata">,
  dataDirectory: string,
  map: TablespaceMap,
): TablespaceTarget[] {
  const used = new Set<string>();
  const targets = info.tablespaces.map(({ name, oid, location }): TablespaceTarget => {
    const key = [name, location, location.replace(/\/+$/, ""), String(oid)].find((candidate) =>
      map.has(candidate),
    );
    if (key !== undefined) used.add(key);
    const mapped = key === undefined ? undefined : map.get(key);
    if (mapped !== undefined && pathWithin(dataDirectory, mapped) !== undefined) {
      throw nested(`tablespace "${name}" cannot go to "${mapped}": that is inside the data directory`);
    }
    if (mapped !== undefined) return { name, oid, location, directory: mapped, kind: "link" };
    // With allow_in_place_tablespaces the location is relative, and the directory stands where the link would.
    if (!isAbsolute(location)) {
      return {
        name,
        oid,
        location,
        directory: join(dataDirectory, "pg_tblspc", String(oid)),
        kind: "in-place",
      };
    }
    const within = info.pgdata === undefined ? undefined : pathWithin(info.pgdata, location);
    const directory = within === undefined ? resolve(location) : join(dataDirectory, within);
    return { name, oid, location, directory, kind: "link" };
  });
  const unknown = [...map.keys()].find((key) => !used.has(key));
  if (unknown !== undefined) {
    const known = info.tablespaces.map(({ name }) => `"${name}"`).join(", ");
    throw new EngineError("usage", `the backup has no tablespace "${unknown}"`, {
      hint: known === "" ? "It has none at all: leave the mapping out." : `It has ${known}.`,
    });
  }
  refuseNested(targets, dataDirectory);
  return targets;
}

/** The path of `inner` below `outer`, or undefined when it does not lie there. */
function pathWithin(outer: string, inner: string): string | undefined {
  const path = relative(outer, inner);
  return path === "" || path.startsWith("..") || isAbsolute(path) ? undefined : path;
}

function refuseNested(targets: readonly TablespaceTarget[], dataDirectory: string): void {
  for (const [index, target] of targets.entries()) {
    const { name, directory } = target;
    if (directory === dataDirectory || pathWithin(directory, dataDirectory) !== undefined) {
      throw nested(`tablespace "${name}" cannot go to "${directory}": the data directory lies in it`);
    }
    for (const other of targets.slice(0, index)) {
      const clash =
        other.directory === directory ||
        pathWithin(other.directory, directory) !== undefined ||
        pathWithin(directory, other.directory) !== undefined;
      if (clash) {
        throw nested(
          `tablespaces "${other.name}" and "${name}" cannot go to "${other.directory}" and "${directory}"`,
        );
      }
    }
  }
}

function nested(what: string): EngineError {
  return new EngineError("target-directory", what, {
    hint: "Give every tablespace a directory of its own with --tablespace NAME=DIR.",
  });
}
