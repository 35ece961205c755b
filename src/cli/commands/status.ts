import { EngineError } from "../../common/errors.ts";
import { formatBytes } from "../../common/units.ts";
import type { SocketOptions } from "../../control/state-directory.ts";
import { connectFor } from "../control-client.ts";
import { listClusters, type ClusterObject } from "../control/cluster-resource.ts";
import { formatFacts, formatJson, formatTable, parseOutputFormat } from "../output.ts";

export interface StatusOptions extends SocketOptions {
  readonly namespace?: string;
  readonly output?: string;
}

/** `tidemark status`: am I safe? Of one cluster, or of all. */
export async function run(
  cluster: string | undefined,
  options: StatusOptions,
  signal: AbortSignal,
): Promise<void> {
  const format = parseOutputFormat(options.output ?? "text");
  const client = await connectFor(options);
  const all = await listClusters(
    client,
    cluster === undefined ? options.namespace : (options.namespace ?? "default"),
    signal,
  );
  const shown = cluster === undefined ? all : all.filter(({ metadata }) => metadata.name === cluster);
  if (cluster !== undefined && shown.length === 0) {
    throw new EngineError(
      "resource-missing",
      `there is no Cluster ${options.namespace ?? "default"}/${cluster}`,
      {
        hint: "tidemark get clusters -A lists them.",
      },
    );
  }
  if (format === "json") {
    process.stdout.write(formatJson({ clusters: shown.map(safetyOf) }));
    return;
  }
  if (shown.length === 0) {
    process.stdout.write("There are no clusters. Apply one with: tidemark apply -f FILE\n");
    return;
  }
  process.stdout.write(shown.map(formatCluster).join("\n"));
}

type Condition = ClusterObject["status"]["conditions"][number];

/** What keeps a cluster from being safe; empty when nothing does. */
function problemsOf({ status }: ClusterObject): readonly string[] {
  const find = (type: string): Condition | undefined => status.conditions.find((item) => item.type === type);
  const problems: string[] = [];
  if (find("Ready")?.status !== "True")
    problems.push(`it is not ready: ${status.phaseReason ?? status.phase}`);
  else if (status.phaseReason !== undefined) problems.push(status.phaseReason);
  const archiving = find("ContinuousArchiving");
  if (archiving === undefined) problems.push("nothing has been archived yet");
  else if (archiving.status !== "True") problems.push(`archiving fails: ${archiving.message}`);
  const backup = find("LastBackupSucceeded");
  if (status.firstRecoverabilityPoint === undefined)
    problems.push("there is no base backup: nothing can be restored");
  if (backup?.status === "False" && backup.reason === "LastBackupFailed") {
    problems.push(`the last backup failed: ${backup.message}`);
  }
  return problems;
}

function safetyOf(cluster: ClusterObject): Record<string, unknown> {
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

function formatCluster(cluster: ClusterObject): string {
  const { metadata, status } = cluster;
  const problems = problemsOf(cluster);
  const { primary, instances = [], aside = [] } = status.tidemark ?? {};
  const facts: [string, string][] = [
    ["cluster", `${metadata.namespace}/${metadata.name}`],
    ["safe", problems.length === 0 ? "yes" : "no"],
    ...problems.map((problem, at): [string, string] => [at === 0 ? "because" : "and", problem]),
    ["phase", status.phase],
    [
      "can be restored",
      status.firstRecoverabilityPoint === undefined
        ? "not yet"
        : `from ${status.firstRecoverabilityPoint} on`,
    ],
    ["last backup", status.lastSuccessfulBackup ?? "none"],
    [
      "archiving",
      status.conditions.find(({ type }) => type === "ContinuousArchiving")?.message ?? "nothing yet",
    ],
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
  return `${formatFacts(facts)}${rows.length === 0 ? "" : `\n${table}`}`;
}

type Aside = NonNullable<ClusterObject["status"]["tidemark"]>["aside"][number];

/** Of data that were given up: where, how much, and when they go. */
function describeAside({ path, bytes, keptUntil }: Aside): string {
  const size = bytes === undefined ? "" : `, ${formatBytes(bytes)}`;
  const until =
    keptUntil === undefined ? ", until somebody removes it" : `, until ${keptUntil} and a newer base backup`;
  return `${path}${size}${until}`;
}
