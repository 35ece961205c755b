import { assert } from "../../common/errors.ts";
import { faultPoint } from "../../common/fault-point.ts";
import { formatLsn } from "../../postgres/lsn.ts";
import { startServer } from "../../postgres/server.ts";
import type { RunningServer } from "../../postgres/server-running.ts";
import { parseServerName } from "../../repository/server-name.ts";
import { describeReplaced } from "../../repository/several-repositories.ts";
import type { RestorePlan } from "../../restore/plan-restore.ts";
import { cleanUnfinishedRestore } from "../../restore/target-directory.ts";
import { fetchCommand, writeCommandConfiguration } from "../configuration/command-configuration.ts";
import { ensureApplication } from "./application.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";
import type { RecoveryReport } from "./bootstrap-report.ts";
import { recoverToTarget } from "./recover-to-target.ts";
import { concernsSource, noSource, openSources, type RecoverySources } from "./recovery-sources.ts";
import { planFrom, planLines, restoreFiles } from "./restore-files.ts";
import { prepareStart } from "./private-start.ts";
import { isResumable } from "./resume.ts";

type RecoveryJob = BootstrapJob<"recovery">;

/**
 * Recovers a cluster from its repositories to the target, and makes the application's role and database where they are
 * missing. The attempt may be an interrupted one, which is gone on with from where it was.
 */
export async function recoverCluster(job: RecoveryJob): Promise<RecoveryReport> {
  const { attempt, bootstrap, signal, onActivity } = job;
  await writeCommandConfiguration(job.folder, job.spec, job.program);
  const done = attempt.mark.recovered;
  const { server, report } =
    done === undefined ? await recover(job) : { server: await startAgain(job), report: done };
  await using _stopped = server;
  await ensureApplication(server.connection, bootstrap.application, signal);
  onActivity("stopping the recovered server");
  await server.stop("fast");
  return report;
}

interface Recovered {
  readonly server: RunningServer;
  readonly report: RecoveryReport;
}

async function recover(job: RecoveryJob): Promise<Recovered> {
  const { folder, bootstrap, attempt, program, log, signal, onActivity } = job;
  const server = parseServerName(bootstrap.server);
  await using sources = await openSources(bootstrap.repositories, server, log, signal);
  const { plan, lines } = await restoreFrom(job, sources);
  faultPoint("bootstrap:restored");
  const start = await prepareStart(job);
  onActivity("replaying WAL up to the target");
  const verified = await recoverToTarget({
    plan,
    repositories: sources.repositories,
    start,
    action: "promote",
    fetchCommand: fetchCommand(program, folder),
    log,
    signal,
  });
  assert(verified.server !== undefined, "a promoted server runs");
  const report: RecoveryReport = {
    plan: lines,
    backupId: plan.recovery.backup.id,
    stopReason: verified.stopReason,
    ...(verified.reachedLsn === undefined ? {} : { reachedLsn: formatLsn(verified.reachedLsn) }),
    ...(verified.lastReplayedTransactionTime === undefined
      ? {}
      : { lastTransactionTime: verified.lastReplayedTransactionTime }),
  };
  try {
    await attempt.note({ recovered: report });
    faultPoint("bootstrap:recovered");
    return { server: verified.server, report };
  } catch (error) {
    await verified.server.stop("fast");
    throw error;
  }
}

interface Restored {
  readonly plan: RestorePlan;
  readonly lines: string[];
}

/** Restores the backup from what the repositories hold together. */
async function restoreFrom(job: RecoveryJob, { repositories, failures }: RecoverySources): Promise<Restored> {
  const { bootstrap, attempt, log, onActivity, onPlan } = job;
  const server = parseServerName(bootstrap.server);
  const isResumed = await isResumable(attempt, bootstrap);
  const backup = isResumed ? (attempt.mark.backup ?? bootstrap.backup) : bootstrap.backup;
  if (isResumed) await attempt.note({ resumed: attempt.mark.resumed + 1 });
  if (repositories.length === 0) throw noSource(server, failures);
  for (const { repository, error } of failures) {
    log.warn("cannot recover from this repository", { repository, error: error.message });
  }
  try {
    onActivity(`planning the recovery from ${repositories.map(({ name }) => `"${name}"`).join(", ")}`);
    const plan = await planFrom(repositories, job, backup);
    const lines = planLines(plan, job);
    onPlan?.({ plan: lines, backupId: plan.recovery.backup.id });
    if (isResumed) {
      log.info("going on with the recovery that was interrupted", { path: attempt.data });
      return { plan, lines };
    }
    const { replaced } = await restoreFiles(plan, job);
    return { plan, lines: [...lines, ...replaced.map((object) => `note: ${describeReplaced(object)}`)] };
  } catch (error) {
    if (!concernsSource(error)) throw error;
    if (!isResumed) await cleanUnfinishedRestore(attempt.data);
    const names = repositories.map(({ name }) => name).join('", "');
    throw noSource(server, [...failures, { repository: names, error }]);
  }
}

/** An attempt that had been recovered when it was interrupted. */
async function startAgain(job: RecoveryJob): Promise<RunningServer> {
  job.onActivity("starting the recovered server again, for ourselves alone");
  return startServer({ ...(await prepareStart(job)), signal: job.signal });
}
