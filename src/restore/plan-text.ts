import { formatBytes, formatTime } from "../common/units.ts";
import type { RestorePlanSummary } from "./plan-summary.ts";

/** A restore plan for people: what each fact is called, and the fact. */
export function describePlan(plan: RestorePlanSummary): readonly (readonly [name: string, value: string])[] {
  const { backup, wal } = plan;
  const facts: [string, string][] = [
    ["target", describeTarget(plan.target)],
    [
      "backup",
      `${backup.id}${backup.name === undefined ? "" : ` (${backup.name})`}, ended ${formatTime(new Date(backup.endTime))}`,
    ],
    [
      "data",
      `${backup.dataBytes === undefined ? "" : `${formatBytes(backup.dataBytes)}, `}${formatBytes(backup.storedBytes)} stored in ${backup.parts} parts`,
    ],
    ["PostgreSQL", String(backup.postgresMajor)],
    ["timelines", plan.timelines.map(describeSpan).join(", then ")],
    ["WAL", describeWal(wal)],
  ];
  if (wal.newestTransactionTime !== undefined) facts.push(["last transaction", wal.newestTransactionTime]);
  if (wal.missing !== undefined) facts.push(["missing", `WAL segment ${wal.missing}`]);
  for (const { name, directory } of plan.tablespaces) facts.push(["tablespace", `${name} to ${directory}`]);
  for (const note of plan.notes) facts.push(["note", note]);
  return facts;
}

function describeTarget({ kind, value, inclusive }: RestorePlanSummary["target"]): string {
  if (kind === "latest") return "the end of the archive";
  if (kind === "immediate") return "the end of the base backup";
  return `${kind} ${value}${inclusive === undefined ? "" : inclusive ? ", inclusive" : ", exclusive"}`;
}

function describeSpan({ timeline, endLsn }: RestorePlanSummary["timelines"][number]): string {
  return endLsn === undefined ? String(timeline) : `${timeline} up to ${endLsn}`;
}

function describeWal(wal: RestorePlanSummary["wal"]): string {
  if (wal.segments === 0) return "none";
  const range = wal.segments === 1 ? wal.first : `${wal.first} to ${wal.last}`;
  return `at most ${wal.segments} segments (${range}), ${formatBytes(wal.storedBytes)} stored`;
}
