import { formatMs, formatSize } from "./format.ts";
import type { Results } from "./results.ts";
import { scenarioText } from "./scenario-titles.ts";
import { counterpartOf, medianWallMs, ratio, summarizeAll, type Line } from "./summary.ts";

interface Quality {
  readonly name: string;
  of(line: Line): number | undefined;
  format(value: number): string;
}

const qualities: readonly Quality[] = [
  { name: "time", of: medianWallMs, format: formatMs },
  { name: "CPU time", of: (line) => line.cpuSeconds, format: (value) => `${value.toFixed(2)} s` },
  { name: "stored bytes", of: (line) => line.storedBytes, format: formatSize },
  { name: "requests", of: (line) => line.requests, format: (value) => String(Math.round(value)) },
];
/** Peaks do not grow with the work, so they are compared as they are. */
const memory: Quality = { name: "memory", of: (line) => line.peakBytes, format: formatSize };

/** Within this, the difference is noise. */
const tolerance = 0.97;

/** One line for each peer in each scenario that is better than we are in anything, per unit of work. */
export function losses(results: Results): string[] {
  return summarizeAll(results).flatMap(({ scenario, lines }) => {
    const { title } = scenarioText(scenario, results);
    return lines
      .filter(({ series }) => !series.ours)
      .flatMap((line) => {
        const ours = counterpartOf(line, lines);
        const worse = ours === undefined ? [] : compare(line, ours);
        return worse.length === 0 ? [] : [`${title}, against ${line.series.title}: ${worse.join("; ")}.`];
      });
  });
}

function compare(line: Line, ours: Line): string[] {
  const worse = qualities.filter((quality) => {
    const factor = ratio(line, ours, quality.of);
    return factor !== undefined && factor < tolerance;
  });
  const [theirs, mine] = [memory.of(line), memory.of(ours)];
  if (theirs !== undefined && mine !== undefined && theirs < mine * tolerance) worse.push(memory);
  return worse.map((quality) => `${quality.name} ${shown(quality, ours)} to ${shown(quality, line)}`);
}

/** With the amount of work, where contenders did different amounts. */
function shown(quality: Quality, line: Line): string {
  const value = quality.of(line) ?? Number.NaN;
  const amount = line.units === 1 || quality === memory ? "" : ` for ${line.units}`;
  return quality.format(value) + amount;
}
