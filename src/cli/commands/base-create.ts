import { createBackup, type BackupResult } from "../../backup/create-backup.ts";
import { resolveOptions, type BackupOptions } from "../../backup/backup-options.ts";
import type { BackupPhase } from "../../backup/progress.ts";
import { codecNamed } from "../../codec/codecs.ts";
import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { Secret } from "../../common/log.ts";
import { formatBytes, formatDuration, formatTime, parseBytes } from "../../common/units.ts";
import { connect } from "../../postgres/connection.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import { findSpoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { openContext, resolveConfig } from "../context.ts";
import type { Config } from "../config.ts";
import { explainInterruption } from "../interrupted.ts";
import { connectToServer, findDataDirectory } from "../local-server.ts";
import { parseCount, parseTags } from "../options.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { becomeServerUser } from "../privileges.ts";
import { createProgressReporter } from "../progress.ts";

interface BaseCreateOptions extends AgentCommandOptions {
  readonly name?: string;
  readonly tag?: readonly string[];
  readonly compression?: string;
  readonly level?: string;
  readonly concurrency?: string;
  readonly maxPartSize?: string;
  readonly spreadCheckpoint?: boolean;
  readonly walTimeout?: string;
  readonly primaryConnection?: string;
}

/** `tidemark base create`. Throws `backup-damaged-pages` after the result when pages were found damaged. */
export async function run(options: BaseCreateOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  const backupOptions = resolveBackupOptions(options, config);
  // Their mistakes are said before anything is opened.
  resolveOptions(backupOptions);
  await becomeServerUser(findDataDirectory(options, config));
  await using context = await openContext({ logLevel: "warn", ...options }, signal, {
    kind: "write",
    spoolDirectory: findSpoolDirectory(options, config),
  });
  await using connection = await connectToServer(options, config, signal);
  const primaryUrl = options.primaryConnection ?? config.postgres?.primaryConnection;
  await using primary =
    primaryUrl === undefined
      ? undefined
      : await connect({ url: new Secret(primaryUrl), applicationName: "tidemark", signal });
  const reporter = createProgressReporter(process.stderr);
  const work = createBackup({
    repositories: context.repositories,
    connection,
    ...(primary === undefined ? {} : { primaryConnection: primary }),
    options: backupOptions,
    clock: systemClock,
    log: context.log,
    signal,
    progress: ({ phase, bytesDone, bytesTotal, startedAt }) =>
      reporter.update({
        label: phaseLabels[phase],
        bytesDone,
        bytesTotal: bytesTotal === 0 ? undefined : bytesTotal,
        elapsedMs: Date.now() - startedAt.getTime(),
      }),
  }).finally(() => reporter.finish());
  const result = await explainInterruption(
    work,
    "The server is out of backup mode, and no backup was made. Run the same command again to take one; it removes what may be left of this one.",
  );
  process.stdout.write(format === "json" ? formatJson(resultJson(result)) : resultText(result));
  requireSoundPages(result);
}

const phaseLabels: Readonly<Record<BackupPhase, string>> = {
  starting: "waiting for the checkpoint",
  copying: "copying",
  stopping: "stopping the backup",
  "waiting-for-wal": "waiting for the last WAL in the archive",
  finishing: "finishing",
  done: "done",
};

function resolveBackupOptions(options: BaseCreateOptions, config: Config): BackupOptions {
  const level = parseCount("--level", options.level, 0) ?? config.backup?.level;
  const lanes = parseCount("--concurrency", options.concurrency) ?? config.backup?.concurrency;
  const maxPartBytes =
    options.maxPartSize === undefined ? config.backup?.maxPartSize : parseBytes(options.maxPartSize);
  const timeoutSeconds = parseCount("--wal-timeout", options.walTimeout);
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    tags: parseTags(options.tag ?? []),
    codec: codecNamed(options.compression ?? config.backup?.compression ?? "zstd").name,
    ...(level === undefined ? {} : { level }),
    ...(lanes === undefined ? {} : { lanes }),
    ...(maxPartBytes === undefined ? {} : { maxPartBytes }),
    // Whoever types the command waits for it; a spread checkpoint would add minutes of nothing.
    fast: options.spreadCheckpoint !== true,
    ...(timeoutSeconds === undefined ? {} : { walTimeoutMs: timeoutSeconds * 1000 }),
  };
}

function resultText({ id, info, manifest, storedBytes, durationMs }: BackupResult): string {
  return formatFacts([
    ["backup", info.backupName === undefined ? id : `${id} (${info.backupName})`],
    ["restorable from", formatTime(info.endTime)],
    ["LSN", `${formatLsn(info.beginLsn)} to ${formatLsn(info.endLsn)}, timeline ${info.timeline}`],
    [
      "size",
      `${formatBytes(manifest.dataBytes)} in ${manifest.fileCount} files, stored as ${formatBytes(storedBytes)}`,
    ],
    [
      "page checksums",
      manifest.pagesVerified ? `verified, ${manifest.damagedPageCount} damaged` : "off in this cluster",
    ],
    ["took", formatDuration(durationMs)],
  ]);
}

function resultJson({ id, info, manifest, storedBytes, durationMs }: BackupResult): Record<string, unknown> {
  return {
    id,
    name: info.backupName ?? null,
    beginTime: info.beginTime.toISOString(),
    endTime: info.endTime.toISOString(),
    beginLsn: formatLsn(info.beginLsn),
    endLsn: formatLsn(info.endLsn),
    beginWal: info.beginWal,
    endWal: info.endWal,
    timeline: info.timeline,
    storedBytes,
    durationMs: Math.round(durationMs),
    manifest,
  };
}

function requireSoundPages({ id, manifest }: BackupResult): void {
  if (manifest.damagedPageCount === 0) return;
  const pages = manifest.damagedPages.slice(0, 5).map(({ path, block }) => `"${path}" block ${block}`);
  throw new EngineError(
    "backup-damaged-pages",
    `backup "${id}" is complete, but ${manifest.damagedPageCount} pages have wrong checksums: ${pages.join(", ")}`,
    {
      hint: "The data files themselves are damaged. Keep older backups, look at the disk, and check the tables with amcheck.",
    },
  );
}
