import { formatBytes, formatTime } from "../../common/units.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import { readBackupManifest, type BackupManifest } from "../../repository/backup-manifest.ts";
import { findBackup, readCatalogue, type CatalogueEntry } from "../../repository/catalogue.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { backupJson } from "./base-list.ts";

/** `tidemark base show`: looks in the repositories in order and shows the first one's. */
export async function run(wanted: string, options: RepositoryOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  await using context = await openContext(options, signal);
  const repository = context.firstRepository;
  const entry = findBackup(repository, await readCatalogue(repository, signal), wanted);
  const manifest = await readBackupManifest(repository, entry.id, signal);
  if (format === "json") {
    process.stdout.write(formatJson({ ...backupJson(entry), manifest: manifest ?? null }));
    return;
  }
  process.stdout.write(formatFacts([...entryFacts(entry), ...manifestFacts(manifest)]));
}

function entryFacts(entry: CatalogueEntry): [string, string][] {
  const facts: [string, string][] = [
    ["backup", entry.id],
    ["state", entry.kind],
  ];
  if (entry.keep !== undefined) facts.push(["keep", entry.keep]);
  if (entry.kind === "unreadable") facts.push(["error", entry.error]);
  if (entry.kind === "failed") facts.push(["status", entry.info.status], ["error", entry.info.error ?? ""]);
  if (entry.kind !== "done") return facts;
  const { info } = entry;
  if (info.backupName !== undefined) facts.push(["name", info.backupName]);
  facts.push(
    ["began", formatTime(info.beginTime)],
    ["ended", formatTime(info.endTime)],
    ["WAL", `${info.beginWal} to ${info.endWal}`],
    ["LSN", `${formatLsn(info.beginLsn)} to ${formatLsn(info.endLsn)}`],
    ["timeline", String(info.timeline)],
    ["PostgreSQL", String(info.serverVersion)],
    ["system identifier", info.systemIdentifier?.toString() ?? "unknown"],
  );
  for (const { name, oid, location } of info.tablespaces)
    facts.push(["tablespace", `${name} (${oid}) at ${location}`]);
  return facts;
}

function manifestFacts(manifest: BackupManifest | undefined): [string, string][] {
  if (manifest === undefined) return [["made by", "another tool (no Tidemark manifest)"]];
  const storedBytes = manifest.parts.reduce((sum, part) => sum + part.storedBytes, 0);
  const facts: [string, string][] = [
    ["made by", `tidemark ${manifest.tidemarkVersion}${manifest.fromStandby ? ", from a standby" : ""}`],
    ["files", String(manifest.fileCount)],
    [
      "size",
      `${formatBytes(manifest.dataBytes)}, stored as ${formatBytes(storedBytes)} in ${manifest.parts.length} parts`,
    ],
    [
      "page checksums",
      manifest.pagesVerified ? `verified, ${manifest.damagedPageCount} damaged` : "off in this cluster",
    ],
  ];
  for (const { path, block } of manifest.damagedPages)
    facts.push(["damaged page", `${path}, block ${block}`]);
  for (const [key, value] of Object.entries(manifest.tags)) facts.push(["tag", `${key}=${value}`]);
  return facts;
}
