import { agentStatus, type AgentStatus } from "../../agent/agent-status.ts";
import { formatBytes, formatDuration, formatTime } from "../../common/units.ts";
import { spoolDirectory, type AgentCommandOptions } from "../agent-options.ts";
import { resolveConfig } from "../context.ts";
import { findDataDirectory, readControlFile } from "../local-server.ts";
import { formatFacts, formatJson, parseOutputFormat } from "../output.ts";
import { holesText, repositoryText } from "../repository-text.ts";

/** `tidemark agent status`. */
export async function run(options: AgentCommandOptions): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const config = await resolveConfig(options);
  const dataDirectory = findDataDirectory(options, config);
  const control = dataDirectory === undefined ? undefined : await readControlFile(dataDirectory);
  const status = await agentStatus({
    spoolDirectory: spoolDirectory(options, config),
    ...(control === undefined ? {} : { systemIdentifier: control.systemIdentifier }),
  });
  process.stdout.write(format === "json" ? formatJson(status) : statusText(status));
}

function statusText(status: AgentStatus): string {
  const since = (iso: string): string => formatDuration(Date.now() - Date.parse(iso));
  const facts: [string, string][] = [
    [
      "agent",
      `process ${status.pid}, since ${formatTime(new Date(status.startedAt))}, ${formatBytes(status.rssBytes)} of memory`,
    ],
    ["PostgreSQL", `system ${status.systemIdentifier} at ${status.dataDirectory}`],
    ["waiting", waitingText(status, since)],
    ["disk of pg_wal", diskText(status)],
  ];
  if (status.drainPerSecond > 0) facts.push(["draining", `${status.drainPerSecond.toFixed(1)} files/s`]);
  if (status.lastArchived !== undefined) {
    facts.push(["last archived", `${status.lastArchived.name}, ${since(status.lastArchived.at)} ago`]);
  }
  if (status.lastFailure !== undefined) {
    const { name, at, error } = status.lastFailure;
    facts.push(["last failure", `${name}, ${since(at)} ago: ${error?.message ?? ""}`]);
  }
  for (const { name, message } of status.refused) facts.push(["needs you", `${name}: ${message}`]);
  for (const repository of status.repositories) {
    facts.push([`repository ${repository.name}`, repositoryText(repository, new Date())]);
  }
  const holes = holesText(status);
  if (holes !== undefined) facts.push(["holes", holes]);
  return formatFacts(facts);
}

function waitingText(status: AgentStatus, since: (iso: string) => string): string {
  if (status.waitingFiles === 0) return "nothing";
  const age =
    status.oldestWaitingSince === undefined ? "" : `, the oldest for ${since(status.oldestWaitingSince)}`;
  return `${status.waitingFiles} WAL files, ${formatBytes(status.waitingBytes)}${age}`;
}

function diskText(status: AgentStatus): string {
  const free = `${formatBytes(status.freeBytes)} free`;
  return status.diskFullInMs === undefined
    ? free
    : `${free}, full in ${formatDuration(status.diskFullInMs)} if it goes on like this`;
}
