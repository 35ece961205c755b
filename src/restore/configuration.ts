import type { ControlFileSettings } from "../postgres/control-file.ts";
import type { Settings } from "../postgres/settings-file.ts";

/*
 * What has to change in a restored configuration, decided from the files' text. PostgreSQL's configuration is lines
 * `name = value`, the last one winning, and include directives (guc-file.l).
 */

export interface Assignment {
  readonly line: number;
  /** Lower case. */
  readonly name: string;
  readonly value: string;
}

const linePattern =
  /^\s*([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)?)(?:\s*=\s*|\s+|(?='))('(?:[^'\\]|''|\\.)*'|[^\s#']+)/;

/** The assignments and include directives of a configuration file, in their order. */
export function readAssignments(text: string): Assignment[] {
  return text.split("\n").flatMap((source, line) => {
    const [, name, value] = linePattern.exec(source) ?? [];
    if (name === undefined || value === undefined) return [];
    return [{ line, name: name.toLowerCase(), value: unquote(value) }];
  });
}

function unquote(value: string): string {
  if (!value.startsWith("'")) return value;
  return value.slice(1, -1).replaceAll("''", "'").replaceAll("\\'", "'").replaceAll("\\\\", "\\");
}

/**
 * Settings that lead out of the restored directory. `data_directory` above all: it wins over `-D`, and the server would
 * start on the directory the backup was taken from. The other files were stored in the archive's root, where the server
 * looks by default. (PostgreSQL 13 and 14 empty `stats_temp_directory` as they start.)
 */
const locations: ReadonlySet<string> = new Set([
  "data_directory",
  "hba_file",
  "ident_file",
  "config_file",
  "external_pid_file",
  "stats_temp_directory",
]);

const includes: ReadonlySet<string> = new Set(["include", "include_dir", "include_if_exists"]);

/** An include directive: its kind in `name`, the path as written in `value`. */
export type Include = Pick<Assignment, "name" | "value">;

export interface ConfigurationEdit {
  readonly text: string;
  /** The lines that were taken out, for people. */
  readonly takenOut: readonly string[];
}

/** A configuration file with the lines commented out that point elsewhere, and the includes that may not stay. */
export function withoutForeignPlaces(
  text: string,
  mayStay: (include: Include) => boolean,
): ConfigurationEdit {
  const lines = text.split("\n");
  const takenOut: string[] = [];
  for (const { line, name, value } of readAssignments(text)) {
    if (!locations.has(name) && !(includes.has(name) && !mayStay({ name, value }))) continue;
    const source = lines[line] ?? "";
    takenOut.push(source.trim());
    lines[line] = `#${source} # taken out by Tidemark: it leads out of the restored directory`;
  }
  return { text: lines.join("\n"), takenOut };
}

/** Whether files other than these two may set parameters; then their values are not known. */
export function includesOthers(text: string): boolean {
  return readAssignments(text).some(({ name }) => includes.has(name));
}

/** A hot standby may not have less of these than the server whose WAL it replays (`CheckRequiredParameterValues`). */
const minimums: readonly {
  readonly name: string;
  readonly field: keyof ControlFileSettings;
  readonly byDefault: number;
}[] = [
  { name: "max_connections", field: "maxConnections", byDefault: 100 },
  { name: "max_worker_processes", field: "maxWorkerProcesses", byDefault: 8 },
  { name: "max_wal_senders", field: "maxWalSenders", byDefault: 10 },
  { name: "max_prepared_transactions", field: "maxPreparedTransactions", byDefault: 0 },
  { name: "max_locks_per_transaction", field: "maxLocksPerTransaction", byDefault: 64 },
];

/**
 * The parameters that must be raised for recovery to be allowed: those whose value in the configuration is below the
 * control file's, or is not known for sure. `texts`: the configuration files in the order they are read.
 */
export function requiredMinimums(texts: readonly string[], control: ControlFileSettings): Settings {
  const unsure = texts.some(includesOthers);
  const found = new Map(texts.flatMap(readAssignments).map(({ name, value }) => [name, value]));
  const settings: Record<string, string> = {};
  for (const { name, field, byDefault } of minimums) {
    const needed = Number(control[field]);
    const value = Number(found.get(name) ?? byDefault);
    if (Number.isFinite(value) && value >= needed) continue;
    settings[name] = String(needed);
  }
  if (!unsure) return settings;
  // An included file may set less; what it sets more is lost until the block is removed, which is the safe side.
  for (const { name, field, byDefault } of minimums) {
    const value = Number(found.get(name) ?? byDefault);
    settings[name] = String(Math.max(Number(control[field]), Number.isFinite(value) ? value : 0));
  }
  return settings;
}
