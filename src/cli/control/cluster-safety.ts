import { formatBytes } from "../../common/units.ts";
import { formatFacts, formatTable } from "../output.ts";
import { archiveFacts, archiveProblems, safetyFacts } from "./archive-safety.ts";
import type { ClusterObject } from "./cluster-resource.ts";
import { storeTable } from "./store-table.ts";

/** What keeps a cluster from being safe; empty when nothing does. */
function problemsOf({ status }: ClusterObject): readonly string[] {
  const isReady = status.conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
  const reason = status.phaseReason;
  return [
    ...(isReady ? (reason === undefined ? [] : [reason]) : [`it is not ready: ${reason ?? status.phase}`]),
    ...archiveProblems(status, status.tidemark?.stores),
    ...status.conditions.flatMap(({ type, status: is, message }) =>
      type === "StorageWithinSize" && is === "False" ? [message] : [],
    ),
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
    stores: status.tidemark?.stores ?? [],
    connection: status.tidemark?.primary ?? null,
  };
}

/** For people. */
export function formatCluster(cluster: ClusterObject): string {
  const { metadata, status } = cluster;
  const problems = problemsOf(cluster);
  const { primary, instances = [], stores = [], aside = [] } = status.tidemark ?? {};
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
    ...aside.map((entry): [string, string] => ["put aside", describeAside(entry)]),
  ];
  const rows = instances.map(
    ({ name, role, state, ready, version = "", port, lsn = "", error, activity }) => [
      name,
      role,
      ready === false && state === "running" ? "running, not ready" : state,
      version,
      port === undefined ? "" : String(port),
      lsn,
      error ?? activity ?? "",
    ],
  );
  const table = formatTable(["INSTANCE", "ROLE", "STATE", "VERSION", "PORT", "LSN", "WHAT"], rows, ["PORT"]);
  return `${formatFacts(facts)}${rows.length === 0 ? "" : `\n${table}`}${storeTable(stores)}`;
}

type Aside = NonNullable<ClusterObject["status"]["tidemark"]>["aside"][number];

/** Of data that were given up: where, how much, and when they go. */
function describeAside({ path, bytes, keptUntil }: Aside): string {
  const size = bytes === undefined ? "" : `, ${formatBytes(bytes)}`;
  const until =
    keptUntil === undefined ? ", until somebody removes it" : `, until ${keptUntil} and a newer base backup`;
  return `${path}${size}${until}`;
}
