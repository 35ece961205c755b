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

/** One sentence for each thing in which a peer is better than we are, per unit of work. */
export function losses(results: Results): string[] {
  return summarizeAll(results).flatMap(({ scenario, lines }) => {
    const { title } = scenarioText(scenario, results);
    return lines
      .filter(({ series }) => !series.ours)
      .flatMap((line) => {
        const ours = counterpartOf(line, lines);
        return ours === undefined ? [] : compare(title, line, ours);
      });
  });
}

function compare(title: string, line: Line, ours: Line): string[] {
  const found = qualities.flatMap((quality) => {
    const factor = ratio(line, ours, quality.of);
    return factor === undefined || factor >= tolerance
      ? []
      : [sentence(title, quality, line, ours, perUnit(quality, line), perUnit(quality, ours))];
  });
  const [theirs, mine] = [memory.of(line), memory.of(ours)];
  if (theirs !== undefined && mine !== undefined && theirs < mine * tolerance) {
    found.push(sentence(title, memory, line, ours, memory.format(theirs), memory.format(mine)));
  }
  return found;
}

function perUnit(quality: Quality, line: Line): string {
  const value = quality.of(line) ?? Number.NaN;
  return line.units === 1 ? quality.format(value) : `${quality.format(value)} for ${line.units}`;
}

function sentence(
  title: string,
  { name }: Quality,
  line: Line,
  ours: Line,
  theirs: string,
  mine: string,
): string {
  return `${title}, ${name}: ${line.series.title} ${theirs}, ${ours.series.title} ${mine}.`;
}
