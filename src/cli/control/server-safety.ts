import { formatFacts } from "../output.ts";
import { archiveFacts, archiveProblems, safetyFacts } from "./archive-safety.ts";
import type { ServerObject } from "./server-resource.ts";
import { storeTable } from "./store-table.ts";

/** What keeps a server from being safe; empty when nothing does. */
function problemsOf({ status }: ServerObject): readonly string[] {
  const ready = status.conditions.find(({ type }) => type === "Ready");
  const problems = archiveProblems(status, status.stores);
  if (ready?.status === "True") return problems;
  const why = ready?.message ?? "nothing is known of it yet";
  // The same settings may be why it is not ready, and why nothing is archived.
  return [`it is not ready: ${why}`, ...problems.filter((problem) => !problem.includes(why))];
}

/** For programs. */
export function serverSafety(server: ServerObject): Record<string, unknown> {
  const { metadata, status } = server;
  const problems = problemsOf(server);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    safe: problems.length === 0,
    problems,
    phase: status.phase,
    version: status.version ?? null,
    lastArchivedWAL: status.lastArchivedWAL ?? null,
    lastArchivedTime: status.lastArchivedTime ?? null,
    firstRecoverabilityPoint: status.firstRecoverabilityPoint ?? null,
    lastSuccessfulBackup: status.lastSuccessfulBackup ?? null,
    nextBackup: status.nextBackup ?? null,
    stores: status.stores,
  };
}

/** For people. */
export function formatServer(server: ServerObject): string {
  const { metadata, spec, status } = server;
  const { version, role = "", lastArchivedWAL, lastArchivedTime, nextBackup } = status;
  const facts: [string, string][] = [
    ["server", `${metadata.namespace}/${metadata.name}`],
    ...safetyFacts(problemsOf(server)),
    ["phase", status.phase],
    ["data directory", spec.dataDirectory],
    ["PostgreSQL", version === undefined ? "does not answer" : `${version}, ${role}`],
    ...archiveFacts(status),
    [
      "last archived",
      lastArchivedWAL === undefined ? "none" : `${lastArchivedWAL}, at ${lastArchivedTime ?? "?"}`,
    ],
    ["next backup", nextBackup ?? "none"],
  ];
  return `${formatFacts(facts)}${storeTable(status.stores)}`;
}
