import { formatTime } from "../../common/units.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import { readCatalogue, type CatalogueEntry } from "../../repository/catalogue.ts";
import { openContext } from "../context.ts";
import type { RepositoryOptions } from "../options.ts";
import { formatJson, formatTable, parseOutputFormat } from "../output.ts";

/** `tidemark base list`. */
export async function run(options: RepositoryOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  await using context = await openContext(options, signal);
  const listed = [];
  for (const repository of context.repositories) {
    listed.push({ repository, entries: await readCatalogue(repository, signal) });
  }
  if (format === "json") {
    const repositories = listed.map(({ repository, entries }) => ({
      repository: repository.name,
      url: repository.store.url,
      server: repository.server,
      backups: entries.map(backupJson),
    }));
    process.stdout.write(formatJson({ repositories }));
    return;
  }
  for (const { repository, entries } of listed) {
    if (listed.length > 1) process.stdout.write(`repository ${repository.name} (${repository.store.url})\n`);
    if (entries.length === 0)
      process.stdout.write(`no backups of "${repository.server}" in ${repository.store.url}\n`);
    else process.stdout.write(formatTable(columns, entries.map(row)));
  }
}

const columns = ["ID", "NAME", "STATE", "END", "TIMELINE", "BEGIN WAL", "END LSN", "KEEP"];

function row(entry: CatalogueEntry): string[] {
  if (entry.kind !== "done") return [entry.id, "", entry.kind, "", "", "", "", entry.keep ?? ""];
  const { info } = entry;
  return [
    entry.id,
    info.backupName ?? "",
    "done",
    formatTime(info.endTime),
    String(info.timeline),
    info.beginWal,
    formatLsn(info.endLsn),
    entry.keep ?? "",
  ];
}

/** One backup in JSON output; LSNs and identifiers as text, times in ISO 8601. */
export function backupJson(entry: CatalogueEntry): Record<string, unknown> {
  const common = { id: entry.id, state: entry.kind, keep: entry.keep ?? null };
  switch (entry.kind) {
    case "incomplete":
      return common;
    case "unreadable":
      return { ...common, error: entry.error };
    case "failed":
      return {
        ...common,
        name: entry.info.backupName ?? null,
        status: entry.info.status,
        error: entry.info.error ?? null,
      };
    case "done": {
      const { info } = entry;
      return {
        ...common,
        name: info.backupName ?? null,
        beginTime: info.beginTime.toISOString(),
        endTime: info.endTime.toISOString(),
        beginLsn: formatLsn(info.beginLsn),
        endLsn: formatLsn(info.endLsn),
        beginWal: info.beginWal,
        endWal: info.endWal,
        timeline: info.timeline,
        serverVersion: info.serverVersion,
        systemIdentifier: info.systemIdentifier?.toString() ?? null,
        walSegmentSizeBytes: info.walSegmentSizeBytes,
        tablespaces: info.tablespaces,
      };
    }
  }
}
