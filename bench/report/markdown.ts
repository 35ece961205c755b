import { judgeAims } from "./aims.ts";
import { cellsOf, columns, dropEmptyColumns } from "./format.ts";
import { losses } from "./losses.ts";
import type { Results } from "./results.ts";
import { scenarioText } from "./scenario-titles.ts";
import { summarizeAll } from "./summary.ts";

const startMark = "<!-- results: written by `npm run bench -- --docs`, do not edit -->";
const endMark = "<!-- end of results -->";

/** `page` with its generated section replaced, or with one at its end when it has none. */
export function withResults(page: string, results: Results): string {
  const section = `${startMark}\n\n${formatSection(results)}\n${endMark}`;
  const from = page.indexOf(startMark);
  const to = page.indexOf(endMark);
  if (from < 0 || to < from) return `${page.trimEnd()}\n\n${section}\n`.trimStart();
  return page.slice(0, from) + section + page.slice(to + endMark.length);
}

function formatSection(results: Results): string {
  return [
    facts(results),
    `### Aims\n\n${table(
      ["", "aim", "measured"],
      judgeAims(results).map(({ aim, measured, met }) => [
        met === undefined ? "–" : met ? "met" : "**missed**",
        aim,
        measured,
      ]),
    )}`,
    behind(results),
    ...failed(results),
    ...scenarios(results),
  ].join("\n");
}

function facts({ machine, repeats, minutes, startedAt, quick }: Results): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const warning = quick
    ? "**A quick run, only to see that everything works. These numbers mean nothing.**\n\n"
    : "";
  const unmeasured = machine.controlGroup
    ? ""
    : " CPU time and memory are missing: this run could not make control groups.";
  return `${warning}${startedAt.slice(0, 10)}, in ${minutes.toFixed(0)} minutes; ${machine.cores} cores of ${machine.processor}, ${machine.memoryGb} GB of memory, ${machine.fileSystem}, ${machine.system}, Linux ${machine.kernel}; load before the start ${machine.loadBefore.toFixed(1)}. ${versions.join(", ")}. ${repeats} readings each, medians.${unmeasured}\n`;
}

function behind(results: Results): string {
  const found = losses(results);
  const list = found.length === 0 ? "Nowhere in this run.\n" : found.map((line) => `- ${line}\n`).join("");
  return `### Where Tidemark is behind\n\n${list}`;
}

/** Without the error text: it names files of the machine it ran on. */
function failed({ failures }: Results): string[] {
  if (failures.length === 0) return [];
  const list = failures.map(({ scenario, title }) => `- ${title}, in the scenario "${scenario}"\n`).join("");
  return [`### What failed\n\nThese have fewer readings or none:\n\n${list}`];
}

function scenarios(results: Results): string[] {
  return summarizeAll(results).map(({ scenario, lines }) => {
    const { title, text, unit } = scenarioText(scenario, results);
    const { header, rows } = dropEmptyColumns(
      columns,
      lines.map((line) => cellsOf(line, lines, unit)),
    );
    return `### ${title}\n\n${text}\n\n${table(header, rows)}`;
  });
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(header) + line(header.map((_, at) => (at < 2 ? "---" : "---:"))) + rows.map(line).join("");
}
