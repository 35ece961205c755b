import { createHash } from "node:crypto";
import { EngineError } from "../common/errors.ts";
import { formatLsn, parseLsn, type Lsn } from "../postgres/lsn.ts";
import { formatSystemIdentifier, parseSystemIdentifier } from "../postgres/system-identifier.ts";
import { timelineId } from "../postgres/timeline.ts";
import {
  isValidForSegmentSize,
  isWalSegmentSize,
  parseWalSegmentName,
  type WalSegmentName,
} from "../postgres/wal-file-name.ts";
import type { BackupInfo, FailedBackupInfo, FinishedBackupInfo, TablespaceEntry } from "./backup-info.ts";
import { formatPythonString, parsePythonLiteral, type PythonValue } from "./python-literal.ts";

/**
 * `backup.info` as text: `key=value` lines, sorted. Reading accepts what any Barman version wrote (unknown keys, any
 * order, CRLF, comments); writing uses exactly the keys that Barman 3.4 knows, because an unknown key makes a reader
 * refuse the backup or the whole repository.
 */

type Fields = ReadonlyMap<string, string>;

/** Throws `object-corrupt`, naming `where`, when the text is not a usable `backup.info`. */
export function parseBackupInfo(text: string, where: string): BackupInfo {
  const fields = readFields(text);
  try {
    return fields.get("status") === "DONE" ? finished(fields, where) : failed(fields, where);
  } catch (error) {
    if (error instanceof EngineError && error.code === "object-corrupt") throw error;
    throw damaged(where, error instanceof Error ? error.message : String(error));
  }
}

function failed(fields: Fields, where: string): FailedBackupInfo {
  const status = fields.get("status") ?? "";
  if (!/^[A-Z_]+$/.test(status)) throw damaged(where, `status is "${status}"`);
  const systemId = optional(fields, "systemid");
  return {
    kind: "failed",
    backupName: optional(fields, "backup_name"),
    status,
    error: optional(fields, "error"),
    beginTime: parseTime(optional(fields, "begin_time")),
    systemIdentifier: systemId === undefined ? undefined : parseSystemIdentifier(systemId),
  };
}

function finished(fields: Fields, where: string): FinishedBackupInfo {
  const need = (key: string): string => {
    const value = optional(fields, key);
    if (value === undefined) throw damaged(where, `the key "${key}" is missing`);
    return value;
  };
  const systemId = optional(fields, "systemid");
  const walSegmentSizeBytes = Number(optional(fields, "xlog_segment_size") ?? 16_777_216);
  if (!isWalSegmentSize(walSegmentSizeBytes)) {
    throw damaged(where, `xlog_segment_size is "${fields.get("xlog_segment_size")}"`);
  }
  const segment = (key: string): WalSegmentName => {
    const name = parseWalSegmentName(need(key));
    if (isValidForSegmentSize(name, walSegmentSizeBytes)) return name;
    throw damaged(where, `${key} is "${name}", which segments of ${walSegmentSizeBytes} bytes do not have`);
  };
  const serverVersion = Number(need("version"));
  if (!Number.isInteger(serverVersion)) throw damaged(where, `version is "${fields.get("version")}"`);
  const endTime = parseTime(need("end_time"));
  if (endTime === undefined) throw damaged(where, `end_time is "${fields.get("end_time")}"`);
  return {
    kind: "done",
    backupName: optional(fields, "backup_name"),
    backupLabel: readString(optional(fields, "backup_label")) ?? "",
    beginTime: parseTime(optional(fields, "begin_time")) ?? endTime,
    endTime,
    beginWal: segment("begin_wal"),
    endWal: segment("end_wal"),
    beginLsn: parseLsn(need("begin_xlog")),
    endLsn: parseLsn(need("end_xlog")),
    timeline: timelineId(Number(need("timeline"))),
    walSegmentSizeBytes,
    systemIdentifier: systemId === undefined ? undefined : parseSystemIdentifier(systemId),
    serverVersion,
    pgdata: optional(fields, "pgdata"),
    configFile: optional(fields, "config_file"),
    hbaFile: optional(fields, "hba_file"),
    identFile: optional(fields, "ident_file"),
    includedFiles: stringList(optional(fields, "included_files")),
    tablespaces: readTablespaces(optional(fields, "tablespaces"), where),
    copyStats: readCopyStats(optional(fields, "copy_stats")),
  };
}

function readFields(text: string): Fields {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const equals = line.indexOf("=");
    if (equals <= 0 || line.startsWith("#")) continue;
    fields.set(line.slice(0, equals).trim(), line.slice(equals + 1));
  }
  return fields;
}

function optional(fields: Fields, key: string): string | undefined {
  const value = fields.get(key);
  return value === undefined || value === "None" || value === "" ? undefined : value;
}

/** A clock time and, behind it, the zone it is of. */
const timeWithZone = /\d{2}:\d{2}.*(?:\bUTC|\bGMT|Z|[+-]\d{2}:?\d{2})\)?$/;

/**
 * `2026-11-21 09:07:27.656665+00:00`; without a zone it is read as UTC, because pods run in UTC. Other forms must say
 * their zone: `new Date` reads them in ours, and a restore to a time would choose another backup on another machine.
 */
function parseTime(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2}(?:\.\d+)?)\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/.exec(
    text.trim(),
  );
  const zone = match?.[3] ?? "Z";
  const time = match
    ? roundUp(
        match[2] ?? "",
        new Date(`${match[1]}T${match[2]}${/^[+-]\d{2}$/.test(zone) ? `${zone}:00` : zone}`),
      )
    : timeWithZone.test(text.trim())
      ? new Date(text)
      : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

/**
 * Barman writes microseconds and a Date holds milliseconds: rounding up keeps "the target is not before the end of this
 * backup" true when it is decided on milliseconds.
 */
function roundUp(clockText: string, time: Date): Date {
  return /\.\d{3}\d*[1-9]/.test(clockText) ? new Date(time.getTime() + 1) : time;
}

function readString(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const value = parsePythonLiteral(text);
  return typeof value === "string" ? value : text;
}

function stringList(text: string | undefined): readonly string[] {
  const value = text === undefined ? undefined : parsePythonLiteral(text);
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function readTablespaces(text: string | undefined, where: string): readonly TablespaceEntry[] {
  if (text === undefined) return [];
  const list = parsePythonLiteral(text);
  if (!Array.isArray(list)) throw damaged(where, `tablespaces is "${text}"`);
  return list.map((item: PythonValue) => {
    const [name, oid, location]: readonly PythonValue[] = Array.isArray(item) ? item : [];
    if (typeof name !== "string" || typeof location !== "string" || !Number.isInteger(Number(oid))) {
      throw damaged(where, `tablespaces is "${text}"`);
    }
    return { name, oid: Number(oid), location };
  });
}

function readCopyStats(text: string | undefined): FinishedBackupInfo["copyStats"] {
  const value = text === undefined ? undefined : parsePythonLiteral(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const stats: Readonly<Record<string, PythonValue>> = value as Readonly<Record<string, PythonValue>>;
  return { totalSeconds: Number(stats["total_time"] ?? 0), workers: Number(stats["number_of_workers"] ?? 0) };
}

function damaged(where: string, what: string): EngineError {
  return new EngineError("object-corrupt", `could not read "${where}": ${what}`, {
    hint: "Restore from another backup; delete this one once nothing depends on it.",
  });
}

/** SHA-256 of the text of a `backup.info`, hex. */
export function digestBackupInfo(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The text of `backup.info` for a finished backup, in the portable key set, sorted by key. */
export function formatBackupInfo(info: FinishedBackupInfo): string {
  return formatFields({
    backup_label: formatPythonString(info.backupLabel),
    ...(info.backupName === undefined ? {} : { backup_name: info.backupName }),
    begin_offset: offset(info.beginLsn, info.walSegmentSizeBytes),
    begin_time: formatPythonTime(info.beginTime),
    begin_wal: info.beginWal,
    begin_xlog: formatLsn(info.beginLsn),
    compression: undefined,
    config_file: info.configFile,
    copy_stats: info.copyStats === undefined ? undefined : formatCopyStats(info.copyStats),
    deduplicated_size: undefined,
    end_offset: offset(info.endLsn, info.walSegmentSizeBytes),
    end_time: formatPythonTime(info.endTime),
    end_wal: info.endWal,
    end_xlog: formatLsn(info.endLsn),
    error: undefined,
    hba_file: info.hbaFile,
    ident_file: info.identFile,
    included_files:
      info.includedFiles.length === 0
        ? undefined
        : `[${info.includedFiles.map(formatPythonString).join(", ")}]`,
    mode: undefined,
    pgdata: info.pgdata,
    server_name: "cloud",
    size: undefined,
    status: "DONE",
    systemid: info.systemIdentifier === undefined ? undefined : formatSystemIdentifier(info.systemIdentifier),
    tablespaces: info.tablespaces.length === 0 ? undefined : formatTablespaces(info.tablespaces),
    timeline: String(info.timeline),
    version: String(info.serverVersion),
    xlog_segment_size: String(info.walSegmentSizeBytes),
  });
}

function formatFields(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key}=${value ?? "None"}\n`)
    .join("");
}

function formatTablespaces(tablespaces: readonly TablespaceEntry[]): string {
  const items = tablespaces.map(
    ({ name, oid, location }) => `(${formatPythonString(name)}, ${oid}, ${formatPythonString(location)})`,
  );
  return `[${items.join(", ")}]`;
}

function formatCopyStats(stats: { readonly totalSeconds: number; readonly workers: number }): string {
  const seconds = stats.totalSeconds.toFixed(6);
  return `{'total_time': ${seconds}, 'number_of_workers': ${stats.workers}, 'analysis_time': 0, 'analysis_time_per_item': {}, 'copy_time_per_item': {}, 'serialized_copy_time_per_item': {}, 'copy_time': ${seconds}, 'serialized_copy_time': ${seconds}}`;
}

/** Always with a zone: Barman reads a time without one in the reader's local zone. */
function formatPythonTime(time: Date): string {
  return `${time.toISOString().replace("T", " ").replace("Z", "")}000+00:00`;
}

function offset(position: Lsn, segmentSizeBytes: number): string {
  return (position % BigInt(segmentSizeBytes)).toString();
}
