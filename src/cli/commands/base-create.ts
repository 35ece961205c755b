import { createBackup } from "../../backup/create-backup.ts";
import { resolveOptions, type BackupOptions } from "../../backup/backup-options.ts";
import type { BackupPhase } from "../../backup/progress.ts";
import { systemClock } from "../../common/clock.ts";
import { Secret } from "../../common/log.ts";
import { parseBytes } from "../../common/units.ts";
import { connect } from "../../postgres/connection.ts";
import { openEachRepository } from "../../repository/open-each-repository.ts";
import { findSpoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { openContext, resolveConfig } from "../context.ts";
import type { Config } from "../config.ts";
import { explainInterruption } from "../interrupted.ts";
import { connectToServer, findDataDirectory } from "../local-server.ts";
import { parseCount, parseTags } from "../options.ts";
import { formatJson, parseOutputFormat } from "../output.ts";
import { becomeServerUser } from "../privileges.ts";
import { createProgressReporter } from "../progress.ts";
import { storedForms } from "../stored-forms.ts";
import { requireEverywhere, requireSoundPages, resultJson, resultText } from "../backup-output.ts";

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

/**
 * `tidemark base create`. After the result it throws `backup-damaged-pages` when pages were found damaged, and `backup-partial` when
 * not every repository has the backup.
 */
export async function run(options: BaseCreateOptions, signal: AbortSignal): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  const backupOptions = resolveBackupOptions(options, config);
  // Their mistakes are said before anything is opened.
  resolveOptions(backupOptions);
  await becomeServerUser(findDataDirectory(options, config));
  const access = { kind: "write", spoolDirectory: findSpoolDirectory(options, config) } as const;
  await using context = await openContext(
    { logLevel: "warn", ...options },
    signal,
    access,
    openEachRepository,
  );
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
  requireEverywhere(result);
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
  const level = parseCount("--level", options.level, 0);
  const { usual, forms } = storedForms("base", config, { compression: options.compression, level });
  const lanes = parseCount("--concurrency", options.concurrency) ?? config.backup?.concurrency;
  const maxPartBytes =
    options.maxPartSize === undefined ? config.backup?.maxPartSize : parseBytes(options.maxPartSize);
  const timeoutSeconds = parseCount("--wal-timeout", options.walTimeout);
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    tags: parseTags(options.tag ?? []),
    ...usual,
    forms,
    ...limitsOf(config),
    ...(lanes === undefined ? {} : { lanes }),
    ...(maxPartBytes === undefined ? {} : { maxPartBytes }),
    // Whoever types the command waits for it; a spread checkpoint would add minutes of nothing.
    fast: options.spreadCheckpoint !== true,
    ...(timeoutSeconds === undefined ? {} : { walTimeoutMs: timeoutSeconds * 1000 }),
  };
}

function limitsOf({ backup = {} }: Config): Pick<BackupOptions, "policy" | "maxBehindBytes" | "maxHoldUpMs"> {
  const { policy, maxBehind, maxHoldUpSeconds } = backup;
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(maxBehind === undefined ? {} : { maxBehindBytes: maxBehind }),
    ...(maxHoldUpSeconds === undefined ? {} : { maxHoldUpMs: maxHoldUpSeconds * 1000 }),
  };
}
