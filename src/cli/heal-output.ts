import { formatBytes } from "../common/units.ts";
import { describeStep, type HealNote, type HealPlan, type HealStep } from "../heal/heal-plan.ts";
import type { HealResult } from "../heal/run-heal.ts";
import { describeTrouble, type RepositoryTrouble } from "../repository/several-repositories.ts";
import { formatTable } from "./output.ts";

const columns = ["REPOSITORY", "WHAT", "SIZE", "FROM", "WHY"];

/** What heal is about to do, as a table; WAL files next to each other are one line. */
export function formatHealPlan({ steps, notes }: HealPlan, unread: readonly RepositoryTrouble[]): string {
  const lines = groups(steps).map((group) => [
    group[0]?.target.name ?? "",
    describeGroup(group),
    formatBytes(group.reduce((sum, { bytes }) => sum + bytes, 0)),
    sourceOf(group[0]),
    group[0]?.reason ?? "",
  ]);
  const table =
    lines.length === 0 ? "nothing is missing or damaged\n" : formatTable(columns, lines, ["SIZE"]);
  return table + formatNotes(notes, unread);
}

function formatNotes(notes: readonly HealNote[], unread: readonly RepositoryTrouble[]): string {
  return [
    ...unread.map((trouble) => `note: ${describeTrouble(trouble)}\n`),
    ...notes.map(
      ({ repository, what, reason }) =>
        `note: ${what} in repository "${repository}" is left as it is: ${reason}\n`,
    ),
  ].join("");
}

function groups(steps: readonly HealStep[]): HealStep[][] {
  const found: HealStep[][] = [];
  for (const step of steps) {
    const last = found.at(-1)?.[0];
    const isAlike =
      step.kind === "wal" &&
      last?.kind === "wal" &&
      last.target === step.target &&
      (last.file.kind === "history") === (step.file.kind === "history") &&
      last.reason === step.reason &&
      sourceOf(last) === sourceOf(step);
    if (isAlike) found.at(-1)?.push(step);
    else found.push([step]);
  }
  return found;
}

function describeGroup(group: readonly HealStep[]): string {
  const [first] = group;
  const last = group.at(-1);
  if (first === undefined || last === undefined) return "";
  const what = first.kind === "wal" ? `WAL ${describeStep(first)}` : describeStep(first);
  if (group.length === 1)
    return first.kind === "backup" && first.mode !== "missing" ? `${what} (damaged)` : what;
  return `${what} to ${describeStep(last)} (${group.length} files)`;
}

function sourceOf(step: HealStep | undefined): string {
  switch (step?.kind) {
    case "wal":
      return step.sources[0]?.repository.name ?? "";
    case "backup":
      return (step.parts[0]?.sources[0] ?? step.infoFrom[0] ?? step.manifestFrom[0])?.name ?? "";
    case "identity":
    case undefined:
      return "";
  }
}

/** The same for programs. */
export function healPlanJson(plan: HealPlan, unread: readonly RepositoryTrouble[]): Record<string, unknown> {
  return {
    steps: plan.steps.map(stepJson),
    notes: plan.notes,
    unread: unread.map(({ repository, error }) => ({
      repository: repository.name,
      code: error.code,
      error: error.message,
    })),
  };
}

function stepJson(step: HealStep): Record<string, unknown> {
  return {
    repository: step.target.name,
    kind: step.kind,
    what: describeStep(step),
    isDamaged:
      step.kind === "wal" ? step.damaged.length > 0 : step.kind === "identity" || step.mode !== "missing",
    bytes: step.bytes,
    from: sourceOf(step),
    reason: step.reason,
  };
}

export function healResultJson({ done, failed }: HealResult): Record<string, unknown> {
  return {
    done: done.map(({ step, outcome }) => ({ ...stepJson(step), outcome })),
    failed: failed.map(({ step, error }) => ({ ...stepJson(step), code: error.code, error: error.message })),
  };
}

export function formatHealResult({ done, failed }: HealResult): string {
  const bytes = done.reduce((sum, { step }) => sum + step.bytes, 0);
  const mended = done.filter(({ outcome }) => outcome === "mended").length;
  const lines = [`copied ${done.length - mended} and mended ${mended} (${formatBytes(bytes)})\n`];
  // Behind a repository that is down or full there may be hundreds with its error.
  for (const [error, alike] of Map.groupBy(failed, (failure) => failure.error)) {
    const steps = alike.map(({ step }) => step);
    const [first] = steps;
    const others = steps.length > 1 ? ` and ${steps.length - 1} more` : "";
    if (first === undefined) continue;
    lines.push(
      `failed: ${describeStep(first)}${others} in repository "${first.target.name}": ${error.message}\n`,
    );
  }
  return lines.join("");
}
