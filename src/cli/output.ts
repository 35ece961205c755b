import { EngineError } from "../common/errors.ts";

export type OutputFormat = "text" | "json";

export function parseOutputFormat(text: string): OutputFormat {
  if (text === "text" || text === "json") return text;
  throw new EngineError("usage", `"${text}" is not an output format`, { hint: "Use -o text or -o json." });
}

/** JSON of a result: bigint as decimal text, two spaces, final newline. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item), 2)}\n`;
}

/** Left-aligned columns, two spaces apart; columns named in `right` are right-aligned. */
export function formatTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const widths = columns.map((name, at) =>
    Math.max(name.length, ...rows.map((row) => (row[at] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((name, at) => {
        const cell = cells[at] ?? "";
        const width = widths[at] ?? 0;
        return right.includes(name) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return `${[line(columns), ...rows.map(line)].join("\n")}\n`;
}

/** `name: value` lines with the values aligned. */
export function formatFacts(facts: readonly (readonly [string, string])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${value}\n`).join("");
}
