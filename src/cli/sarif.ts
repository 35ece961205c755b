import { tidemarkVersion } from "../common/version.ts";
import type { Rule, Severity } from "../manifest/lint/rule.ts";
import type { Report } from "../manifest/lint/run-rules.ts";

const levels: Readonly<Record<Severity, string>> = { error: "error", warning: "warning", info: "note" };

/** SARIF 2.1.0 (OASIS), which code hosts show beside the lines. */
export function formatSarif(reports: readonly Report[], rules: readonly Rule[]): Record<string, unknown> {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "tidemark lint",
            version: tidemarkVersion,
            rules: rules.map(({ id, severity, summary, explanation }) => ({
              id,
              shortDescription: { text: summary },
              fullDescription: { text: explanation },
              defaultConfiguration: { level: levels[severity] },
            })),
          },
        },
        results: reports.map(({ rule, severity, file, position, message, hint }) => ({
          ruleId: rule,
          level: levels[severity],
          message: { text: hint === undefined ? message : `${message}. ${hint}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: file.split("/").map(encodeURIComponent).join("/") },
                region: { startLine: position.line, startColumn: position.column },
              },
            },
          ],
        })),
      },
    ],
  };
}
