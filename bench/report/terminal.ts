import { formatTable } from "../../src/cli/output.ts";
import { judgeAims } from "./aims.ts";
import { cellsOf, columns, dropEmptyColumns } from "./format.ts";
import { losses } from "./losses.ts";
import type { Results } from "./results.ts";
import { scenarioText } from "./scenario-titles.ts";
import { summarizeAll } from "./summary.ts";

/** The whole report for a terminal. */
export function formatReport(results: Results): string {
  const parts = summarizeAll(results).map(({ scenario, lines }) => {
    const { title, unit } = scenarioText(scenario, results);
    const { header, rows } = dropEmptyColumns(
      columns,
      lines.map((line) => cellsOf(line, lines, unit)),
    );
    return `${title}\n\n${formatTable(header, rows, header.slice(2))}`;
  });
  const aims = judgeAims(results).map(({ aim, measured, met }) => [
    met === undefined ? "?" : met ? "met" : "MISSED",
    aim,
    measured,
  ]);
  parts.push(`Aims\n\n${formatTable(["", "aim", "measured"], aims)}`);
  const worse = losses(results);
  if (worse.length > 0)
    parts.push(`Where Tidemark is behind\n\n${worse.map((line) => `- ${line}\n`).join("")}`);
  const { failures } = results;
  if (failures.length > 0) {
    parts.push(
      `Failed\n\n${failures.map(({ scenario, title, error }) => `- ${scenario}, ${title}: ${error}\n`).join("")}`,
    );
  }
  return parts.join("\n");
}
