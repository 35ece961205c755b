import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { formatBytes, formatDuration, formatTime } from "../../common/units.ts";
import { instanceFolder } from "../../instance/instance-folder.ts";
import type { BackupJob, InstanceStatus } from "../../instance/instance-status.ts";
import { readInstanceStatus } from "../../instance/process/instance-client.ts";
import { runInstance } from "../../instance/process/run-instance.ts";
import { createCommandLog } from "../context.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { holesText, repositoryText } from "../repository-text.ts";
import { becomeServerUser } from "../privileges.ts";
import { selfProgram } from "../self-command.ts";

/** `tidemark instance run`: until it is stopped. */
export async function run(
  folder: string,
  options: { readonly logLevel?: string },
  signal: AbortSignal,
): Promise<void> {
  const log = createCommandLog(options);
  const { root } = instanceFolder(folder);
  await becomeServerUser(root);
  await runInstance({ folder: root, program: selfProgram(), clock: systemClock, log, signal });
}

/** `tidemark instance status`. */
export async function status(folder: string, options: { readonly output?: string }): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const found = await readInstanceStatus(folder);
  if (found === undefined) {
    throw new EngineError(
      "agent-unreachable",
      `no process serves the instance in "${instanceFolder(folder).root}"`,
      {
        hint: `Start it with: tidemark instance run ${folder}`,
      },
    );
  }
  process.stdout.write(format === "json" ? formatJson(found) : statusText(found));
}

type Facts = [string, string][];

function statusText(status: InstanceStatus): string {
  const { pid, startedAt, phase, activity, error, retryAt, archivingError } = status;
  const facts: Facts = [
    ["process", `${pid}, since ${timeText(startedAt)}`],
    ["phase", activity === undefined ? phase : `${phase}: ${activity}`],
  ];
  if (error !== undefined) facts.push(["error", error.message]);
  if (error?.hint !== undefined) facts.push(["hint", error.hint]);
  if (retryAt !== undefined) facts.push(["tried again", `at ${timeText(retryAt)}`]);
  facts.push(...serverFacts(status), ...archivingFacts(status));
  if (archivingError !== undefined) facts.push(["archiving fails", archivingError.message]);
  facts.push(...status.backups.map((job): [string, string] => [`backup ${job.id}`, jobText(job)]));
  return formatFacts(facts);
}

function serverFacts({ postgres }: InstanceStatus): Facts {
  if (postgres === undefined) return [];
  const { version, role, systemIdentifier, timeline, lsn, dataBytes, walBytes = 0 } = postgres;
  const size =
    dataBytes === undefined ? "" : `, ${formatBytes(dataBytes)} and ${formatBytes(walBytes)} of WAL`;
  const facts: Facts = [
    ["PostgreSQL", `${version}, process ${postgres.pid}, since ${timeText(postgres.startedAt)}${size}`],
    [role, `system ${systemIdentifier}, timeline ${timeline}, at ${lsn}`],
  ];
  if (postgres.pendingRestart) facts.push(["restart", "needed by changes of the configuration"]);
  for (const { name, state, lagBytes } of postgres.replication) {
    facts.push([`replication ${name}`, `${state}, ${formatBytes(lagBytes)} behind`]);
  }
  return facts;
}

function archivingFacts({ archiving }: InstanceStatus): Facts {
  if (archiving === undefined) return [];
  const { waitingFiles, waitingBytes, lastArchived, repositories } = archiving;
  const waiting = waitingFiles === 0 ? "nothing" : `${waitingFiles} WAL files, ${formatBytes(waitingBytes)}`;
  const facts: Facts = [["waiting", waiting]];
  if (lastArchived !== undefined) {
    facts.push(["last archived", `${lastArchived.name}, at ${timeText(lastArchived.at)}`]);
  }
  for (const repository of repositories) {
    facts.push([`repository ${repository.name}`, repositoryText(repository, new Date())]);
  }
  const holes = holesText(archiving);
  if (holes !== undefined) facts.push(["holes", holes]);
  return facts;
}

function jobText({
  state,
  phase,
  doneBytes,
  totalBytes,
  startedAt,
  stoppedAt,
  backupId,
  error,
}: BackupJob): string {
  switch (state) {
    case "running": {
      const of = totalBytes === undefined ? "" : ` of ${formatBytes(totalBytes)}`;
      return `${phase}, ${formatBytes(doneBytes)}${of}`;
    }
    case "completed":
      return `${backupId ?? ""} completed in ${formatDuration(Date.parse(stoppedAt ?? startedAt) - Date.parse(startedAt))}`;
    case "failed":
      return `failed: ${error?.message ?? ""}`;
  }
}

function timeText(iso: string): string {
  return formatTime(new Date(iso));
}
