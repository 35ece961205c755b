import { resolve } from "node:path";
import { prefetchRootOf, quoteForShell } from "../../agent/shell-text.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import { recoverToTarget } from "../../instance/bootstrap/recover-to-target.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import type { RecoveryAction } from "../../postgres/recovery-settings.ts";
import { findServerBinaries, type ServerBinaries } from "../../postgres/server-binaries.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import { serverMajor } from "../../repository/backup-info.ts";
import { backupInfoKey } from "../../repository/keys.ts";
import { firstThatWorks } from "../../repository/several-repositories.ts";
import { planRestore, withRepositories, type RestorePlan } from "../../restore/plan-restore.ts";
import { summarizePlan, type RestorePlanSummary } from "../../restore/plan-summary.ts";
import { runRestore, type RestoreResult } from "../../restore/run-restore.ts";
import type { VerifiedRecovery } from "../../restore/start-and-verify.ts";
import { parseTablespaceMap, tablespaceTargets, type TablespaceMap } from "../../restore/tablespaces.ts";
import { cleanUnfinishedRestore } from "../../restore/target-directory.ts";
import { confirm } from "../confirm.ts";
import { openContext, type CommandContext } from "../context.ts";
import { explainInterruption } from "../interrupted.ts";
import { parseCount, type RepositoryOptions } from "../options.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { become } from "../privileges.ts";
import { createProgressReporter } from "../progress.ts";
import { makeRestoreDirectory } from "../restore-directory.ts";
import { formatRestorePlan } from "../restore-plan-text.ts";
import { parseTarget, parseTimeline, type TargetOptions } from "../restore-target.ts";
import { writeRestoreScript } from "../../agent/restore-script-file.ts";
import { selfCommand } from "../self-command.ts";

export interface DirectoryRestoreOptions extends RepositoryOptions, TargetOptions {
  readonly backup?: string;
  readonly tablespace?: readonly string[];
  readonly dryRun?: boolean;
  readonly start?: boolean;
  readonly stopAfter?: boolean;
  readonly action: string;
  readonly archiving: string;
  readonly concurrency?: string;
  readonly binDirectory?: string;
  readonly clean?: boolean;
  readonly yes?: boolean;
}

/** `tidemark base restore`. */
export async function run(
  directory: string,
  options: DirectoryRestoreOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const dataDirectory = resolve(directory);
  if (options.clean === true) return clean(dataDirectory, options, signal);
  const choices = parseChoices(options);
  await using context = await openContext({ logLevel: "warn", ...options }, signal);
  const plan = await requirePlan(context, choices, signal);
  const tablespaces = tablespaceTargets(plan.recovery.backup.info, dataDirectory, choices.tablespaceMap);
  const summary: RestorePlanSummary = {
    ...summarizePlan(plan, tablespaces),
    notes: [...choices.notes, ...plan.notes],
  };
  if (format === "text") process.stdout.write(formatRestorePlan(summary));
  if (options.dryRun === true) {
    if (format === "json") process.stdout.write(formatJson({ plan: summary }));
    return;
  }
  const binaries = choices.start ? await findBinaries(plan, options, context) : undefined;
  // So that everything written belongs to the server's user, and the repository is read with the rights of
  // `restore_command`.
  const owner = await makeRestoreDirectory(dataDirectory, tablespaces, choices.start);
  if (owner !== undefined) await become(owner);
  await using ownContext = owner === undefined ? undefined : await reopenAs(owner, plan, options, signal);
  const job: RestoreJob = { context: ownContext ?? context, plan, choices, dataDirectory, options, signal };
  const restored = await explainInterruption(
    unpack(job),
    `What "${dataDirectory}" holds by now cannot be started. Remove it with "tidemark base restore ${dataDirectory} --clean", then run the same command again.`,
  );
  const recovery =
    binaries === undefined
      ? undefined
      : await explainInterruption(
          recover(job, binaries),
          `The server is stopped, and "${dataDirectory}" is restored, but not yet recovered to its target. Start PostgreSQL on it to go on, or remove it.`,
        );
  if (format === "json")
    process.stdout.write(formatJson({ plan: summary, ...resultJson(restored, recovery) }));
  else process.stdout.write(resultText(job, restored, recovery));
}

/**
 * The plan was read with root's credentials; the rest, like `restore_command` later, works with those of the server's user
 * (in the environment, or its own `~/.aws`). Whether they open the repository shows here, before anything is written.
 */
async function reopenAs(
  user: ServerUser,
  plan: RestorePlan,
  options: DirectoryRestoreOptions,
  signal: AbortSignal,
): Promise<CommandContext> {
  const context = await openContext({ logLevel: "warn", ...options }, signal);
  try {
    const own = withRepositories(plan, context.repositories).sources.map(({ repository }) => repository);
    await firstThatWorks(
      own,
      async ({ store, server }) => store.head(backupInfoKey(server, plan.recovery.backup.id), { signal }),
      signal,
    );
    return context;
  } catch (cause) {
    await context[Symbol.asyncDispose]();
    if (!isEngineError(cause) || cause.code === "aborted") throw cause;
    throw new EngineError(cause.code, `as user "${user.name}": ${cause.message}`, {
      cause,
      hint: `Restore gives up root, and recovery runs as "${user.name}": give that user access to the repository, by credentials in the environment or in its home directory.`,
    });
  }
}

interface RestoreChoices {
  readonly target: ReturnType<typeof parseTarget>["target"];
  readonly notes: readonly string[];
  readonly timeline: ReturnType<typeof parseTimeline>;
  readonly backup: string;
  readonly tablespaceMap: TablespaceMap;
  readonly action: RecoveryAction;
  readonly archiving: "off" | "preserve";
  readonly concurrency: number | undefined;
  readonly start: boolean;
}

interface RestoreJob {
  readonly context: CommandContext;
  readonly plan: RestorePlan;
  readonly choices: RestoreChoices;
  readonly dataDirectory: string;
  readonly options: DirectoryRestoreOptions;
  readonly signal: AbortSignal;
}

function parseChoices(options: DirectoryRestoreOptions): RestoreChoices {
  const { action, archiving } = options;
  if (action !== "promote" && action !== "pause" && action !== "shutdown") {
    throw new EngineError("usage", `--action is "${action}"`, { hint: "Use promote, pause or shutdown." });
  }
  if (archiving !== "off" && archiving !== "keep") {
    throw new EngineError("usage", `--archiving is "${archiving}"`, { hint: "Use off or keep." });
  }
  return {
    ...parseTarget(options),
    timeline: parseTimeline(options.timeline),
    backup: options.backup ?? "auto",
    tablespaceMap: parseTablespaceMap(options.tablespace ?? []),
    action,
    archiving: archiving === "keep" ? "preserve" : "off",
    concurrency: parseCount("--concurrency", options.concurrency),
    start: options.start === true,
  };
}

async function clean(
  dataDirectory: string,
  options: DirectoryRestoreOptions,
  signal: AbortSignal,
): Promise<void> {
  await confirm(`Remove what an unfinished restore left in ${dataDirectory}?`, options, signal);
  const removed = await cleanUnfinishedRestore(dataDirectory);
  process.stdout.write(
    removed ? `removed the unfinished restore in ${dataDirectory}\n` : `${dataDirectory} is empty\n`,
  );
}

async function requirePlan(
  context: CommandContext,
  choices: RestoreChoices,
  signal: AbortSignal,
): Promise<RestorePlan> {
  const { target, timeline, backup } = choices;
  const plan = await planRestore({
    repositories: context.repositories,
    request: { target, timeline, backup },
    signal,
  });
  if (plan.kind === "reachable") return plan;
  throw new EngineError("target-unreachable", `this cannot be restored: ${plan.reason}`, { hint: plan.hint });
}

async function findBinaries(
  plan: RestorePlan,
  options: DirectoryRestoreOptions,
  context: CommandContext,
): Promise<ServerBinaries> {
  const binDirectory = options.binDirectory ?? context.config.postgres?.binDirectory;
  return findServerBinaries({ major: serverMajor(plan.recovery.backup.info), binDirectory });
}

/** For a server that is started without us: the first file comes the slow way and starts a prefetcher for the rest. */
function fetchCommand({ dataDirectory, options }: RestoreJob): string[] {
  return selfCommand(["wal", "fetch", "--prefetch", dataDirectory], options);
}

async function unpack(job: RestoreJob): Promise<RestoreResult> {
  const { context, plan, choices, dataDirectory, signal } = job;
  const reporter = createProgressReporter(process.stderr);
  const startedMs = performance.now();
  const script = writeRestoreScript(
    prefetchRootOf(dataDirectory),
    selfCommand(["wal", "fetch"], job.options),
  );
  const restored = await runRestore({
    plan: withRepositories(plan, context.repositories),
    dataDirectory,
    tablespaceMap: choices.tablespaceMap,
    recovery: {
      restoreCommand: script.restoreCommand,
      action: choices.action,
      archiving: choices.archiving,
    },
    concurrency: choices.concurrency ?? context.config.restore?.concurrency,
    log: context.log,
    signal,
    progress: ({ phase, doneBytes, totalBytes }) =>
      reporter.update({
        label: phase === "unpack" ? "restoring" : phase,
        bytesDone: doneBytes,
        bytesTotal: totalBytes,
        elapsedMs: performance.now() - startedMs,
      }),
  }).finally(() => reporter.finish());
  await script.write();
  return restored;
}

async function recover(job: RestoreJob, binaries: ServerBinaries): Promise<VerifiedRecovery> {
  const { context, plan, choices, dataDirectory, signal } = job;
  const verified = await recoverToTarget({
    plan,
    repositories: context.repositories,
    start: { binaries, dataDirectory },
    action: choices.action,
    fetchCommand: fetchCommand(job),
    log: context.log,
    signal,
  });
  if (job.options.stopAfter === true) await verified.server?.stop("fast");
  else verified.server?.release();
  return verified;
}

function resultText(
  job: RestoreJob,
  restored: RestoreResult,
  recovery: VerifiedRecovery | undefined,
): string {
  const { dataDirectory, options } = job;
  const facts: [string, string][] = [
    [
      "restored",
      `${formatBytes(restored.dataBytes)} in ${restored.fileCount} files to ${dataDirectory}, in ${formatDuration(restored.durationMs)}`,
    ],
    ...restored.notes.map((note): [string, string] => ["note", note]),
  ];
  if (recovery === undefined) {
    facts.push([
      "next",
      `start PostgreSQL on ${dataDirectory} (postgres -D ${quoteForShell(dataDirectory)} -c data_directory=${quoteForShell(dataDirectory)}); it replays to the target and then ${job.choices.action}s`,
    ]);
    return `\n${formatFacts(facts)}`;
  }
  facts.push(["recovered", `in ${formatDuration(recovery.durationMs)}; stopped ${recovery.stopReason}`]);
  if (recovery.reachedLsn !== undefined) facts.push(["reached", formatLsn(recovery.reachedLsn)]);
  if (recovery.lastReplayedTransactionTime !== undefined) {
    facts.push(["last transaction", recovery.lastReplayedTransactionTime]);
  }
  if (recovery.newTimeline !== undefined) facts.push(["new timeline", String(recovery.newTimeline)]);
  const { server } = recovery;
  if (server !== undefined && options.stopAfter !== true) {
    facts.push([
      "running",
      `process ${server.pid}; psql -h ${server.connection.host} -p ${server.connection.port} -U ${server.connection.user}`,
    ]);
  }
  return `\n${formatFacts(facts)}`;
}

function resultJson(
  restored: RestoreResult,
  recovery: VerifiedRecovery | undefined,
): Record<string, unknown> {
  return {
    restored: { ...restored, durationMs: Math.round(restored.durationMs) },
    recovery:
      recovery === undefined
        ? null
        : {
            stopReason: recovery.stopReason,
            reachedLsn: recovery.reachedLsn === undefined ? null : formatLsn(recovery.reachedLsn),
            newTimeline: recovery.newTimeline ?? null,
            lastReplayedTransactionTime: recovery.lastReplayedTransactionTime ?? null,
            durationMs: Math.round(recovery.durationMs),
            connection: recovery.server?.connection ?? null,
          },
  };
}
