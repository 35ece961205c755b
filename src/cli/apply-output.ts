import type { AdmissionFinding, AppliedObject, FieldChange } from "../control/admission/apply-result.ts";
import { shortName } from "./kind-arguments.ts";

/** `cluster/pg created`, and with the changes what differs. */
export function formatApplied(
  { kind, name, outcome, reason, changes }: AppliedObject,
  { isDryRun, hasChanges }: { readonly isDryRun: boolean; readonly hasChanges: boolean },
): string {
  const why = outcome === "ignored" && reason !== undefined ? `: ${reason}` : "";
  const dry = isDryRun && outcome !== "ignored" ? " (server dry run)" : "";
  const lines = hasChanges ? changes.map(formatChange) : [];
  return [`${shortName(kind, name)} ${outcome}${why}${dry}`, ...lines].map((line) => `${line}\n`).join("");
}

function formatChange({ field, before, after }: FieldChange): string {
  if (before === undefined) return `  + ${field}: ${JSON.stringify(after)}`;
  if (after === undefined) return `  - ${field}: ${JSON.stringify(before)}`;
  return `  ~ ${field}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`;
}

/** A finding as `tidemark lint` shows it. */
export function formatFinding(finding: AdmissionFinding): string {
  const { file, line, column, severity, message, rule, object, hint, fix, note } = finding;
  const place = object === null ? undefined : [object.namespace, object.name].filter((part) => part !== null);
  const lines = [
    `${file}:${line}:${column}: ${severity}: ${message} [${rule}]`,
    ...(object === null || place === undefined ? [] : [`    in ${object.kind} ${place.join("/")}`]),
    ...(hint === null ? [] : [`    hint: ${hint}`]),
    ...(fix === null ? [] : [`    tidemark lint --fix: ${fix}`]),
    ...(note === null ? [] : [`    note: ${note}`]),
  ];
  return lines.map((text) => `${text}\n`).join("");
}
