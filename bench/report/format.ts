import { mib } from "../../src/common/units.ts";
import { counterpartOf, medianWallMs, ratio, type Line } from "./summary.ts";

/** `83 ms`, `4.31 s`, `191 s`. */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : ms < 100_000 ? 1 : 0)} s`;
}

export function formatSize(bytes: number | undefined): string {
  return bytes === undefined ? "–" : `${(bytes / mib).toFixed(bytes < 10 * mib ? 1 : 0)} MiB`;
}

export const columns = [
  "",
  "store",
  "median",
  "min – max",
  "n",
  "rate",
  "CPU",
  "peak memory",
  "largest process",
  "stored",
  "requests",
  "Tidemark is",
] as const;

/** The cells of one line, in the order of `columns`. */
export function cellsOf(line: Line, lines: readonly Line[], unit: string | undefined): string[] {
  const { series, wall } = line;
  return [
    series.title,
    series.store === "s3" ? "S3" : "directory",
    formatMs(wall.median),
    wall.count === 1 ? "–" : `${formatMs(wall.min)} – ${formatMs(wall.max)}`,
    String(wall.count),
    unit === undefined || line.rate === undefined
      ? "–"
      : `${line.rate.toFixed(line.rate < 10 ? 2 : 0)} ${unit}`,
    line.cpuSeconds === undefined ? "–" : `${line.cpuSeconds.toFixed(2)} s`,
    formatSize(line.peakBytes),
    formatSize(line.peakProcessBytes),
    formatSize(line.storedBytes),
    line.requests === undefined ? "–" : String(Math.round(line.requests)),
    comparison(line, lines),
  ];
}

function comparison(line: Line, lines: readonly Line[]): string {
  if (line.series.ours) return "";
  const ours = counterpartOf(line, lines);
  const factor = ours === undefined ? undefined : ratio(line, ours, medianWallMs);
  return factor === undefined ? "–" : formatFactor(factor);
}

/** `1.93 × faster`, `1.20 × slower`. */
export function formatFactor(factor: number): string {
  const slower = factor < 1;
  const shown = slower ? 1 / factor : factor;
  return `${shown.toFixed(shown < 10 ? 2 : 0)} × ${slower ? "slower" : "faster"}`;
}

/** Drops columns in which no line says anything. */
export function dropEmptyColumns(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): { readonly header: string[]; readonly rows: string[][] } {
  const kept = header.map((_, at) => at === 0 || rows.some((row) => row[at] !== "–" && row[at] !== ""));
  const pick = (cells: readonly string[]) => cells.filter((_, at) => kept[at]);
  return { header: pick(header), rows: rows.map(pick) };
}
