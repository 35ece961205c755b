import { objectTitle } from "../manifest/manifest-object.ts";
import type { Report } from "../manifest/lint/run-rules.ts";

/** Findings for people: grouped by file, each with its place, what would happen, and what to do. */
export function formatReports(reports: readonly Report[], objectCount: number): string {
  if (reports.length === 0)
    return `${objectCount} ${objectCount === 1 ? "object" : "objects"}, nothing to say\n`;
  return reports
    .map((report) => {
      const { file, position, severity, rule, message, hint, fix, object } = report;
      const lines = [`${file}:${position.line}:${position.column}: ${severity}: ${message} [${rule}]`];
      if (object !== undefined) lines.push(`    in ${objectTitle(object)}`);
      if (hint !== undefined) lines.push(`    hint: ${hint}`);
      if (fix !== undefined) lines.push(`    --fix: ${fix.title}`);
      return lines.join("\n");
    })
    .map((text) => `${text}\n`)
    .join("");
}

/** The same for programs; see docs/lint.md. */
export function reportsJson(reports: readonly Report[]): Record<string, unknown> {
  return {
    findings: reports.map(({ object, position, fix, hint, ...report }) => ({
      rule: report.rule,
      severity: report.severity,
      file: report.file,
      line: position.line,
      column: position.column,
      object:
        object === undefined
          ? null
          : {
              apiVersion: object.apiVersion,
              kind: object.kind,
              namespace: object.namespace ?? null,
              name: object.name,
            },
      field: report.field,
      message: report.message,
      hint: hint ?? null,
      fix: fix?.title ?? null,
    })),
  };
}
