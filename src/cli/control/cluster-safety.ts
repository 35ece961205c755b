import { formatFacts, formatTable } from "../output.ts";
import { archiveFacts, archiveProblems, safetyFacts } from "./archive-safety.ts";
import type { ClusterObject } from "./cluster-resource.ts";

/** What keeps a cluster from being safe; empty when nothing does. */
function problemsOf({ status }: ClusterObject): readonly string[] {
  const isReady = status.conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
  const reason = status.phaseReason;
  return [
    ...(isReady ? (reason === undefined ? [] : [reason]) : [`it is not ready: ${reason ?? status.phase}`]),
    ...archiveProblems(status),
  ];
}

/** For programs. */
export function clusterSafety(cluster: ClusterObject): Record<string, unknown> {
  const { metadata, status } = cluster;
  const problems = problemsOf(cluster);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    safe: problems.length === 0,
    problems,
    phase: status.phase,
    primary: status.currentPrimary ?? null,
    instances: status.instances,
    readyInstances: status.readyInstances,
    firstRecoverabilityPoint: status.firstRecoverabilityPoint ?? null,
    lastSuccessfulBackup: status.lastSuccessfulBackup ?? null,
    connection: status.tidemark?.primary ?? null,
  };
}

/** For people. */
export function formatCluster(cluster: ClusterObject): string {
  const { metadata, status } = cluster;
  const problems = problemsOf(cluster);
  const { primary, instances = [] } = status.tidemark ?? {};
  const facts: [string, string][] = [
    ["cluster", `${metadata.namespace}/${metadata.name}`],
    ...safetyFacts(problems),
    ["phase", status.phase],
    ...archiveFacts(status),
    ...(primary === undefined
      ? []
      : [
          [
            "connect",
            `psql -h ${primary.host} -p ${primary.port} … or tidemark psql ${metadata.name} -n ${metadata.namespace}`,
          ] as [string, string],
        ]),
  ];
  const rows = instances.map(({ name, role, state, version = "", port, lsn = "", error, activity }) => [
    name,
    role,
    state,
    version,
    port === undefined ? "" : String(port),
    lsn,
    error ?? activity ?? "",
  ]);
  const table = formatTable(["INSTANCE", "ROLE", "STATE", "VERSION", "PORT", "LSN", "WHAT"], rows, ["PORT"]);
  return `${formatFacts(facts)}${rows.length === 0 ? "" : `\n${table}`}`;
}
