import { spreadOf, type Spread } from "../measure/statistics.ts";
import type { Reading } from "../measure/meter.ts";
import type { Results, Series } from "./results.ts";

/** One contender's line in a scenario's table; medians, but for the wall time, which keeps its extremes. */
export interface Line {
  readonly series: Series;
  readonly wall: Spread;
  /** Units per second by the median of the readings' own rates, where the scenario counts units. */
  readonly rate: number | undefined;
  /** Per unit where contenders did different amounts. */
  readonly cpuSeconds: number | undefined;
  readonly peakBytes: number | undefined;
  readonly peakProcessBytes: number | undefined;
  readonly storedBytes: number | undefined;
  readonly requests: number | undefined;
  /** Work done per reading. */
  readonly units: number;
}

export function summarize(series: Series): Line {
  const { readings } = series;
  const median = (pick: (reading: Reading) => number | undefined) =>
    spreadOf(readings.map(pick).filter((value) => value !== undefined))?.median;
  const wall = spreadOf(readings.map(({ wallMs }) => wallMs));
  if (wall === undefined) throw new Error(`no readings of ${series.scenario} by ${series.contender}`);
  return {
    series,
    wall,
    rate: median(({ units, wallMs }) => (units === undefined ? undefined : (units * 1000) / wallMs)),
    cpuSeconds: median(({ cpu }) => (cpu === undefined ? undefined : (cpu.userMs + cpu.systemMs) / 1000)),
    peakBytes: median(({ memory }) => memory?.sumBytes),
    peakProcessBytes: median(({ memory }) => memory?.processBytes),
    storedBytes: median(({ storedBytes }) => storedBytes),
    requests: median(({ requests }) => requests),
    units: readings[0]?.units ?? 1,
  };
}

export interface ScenarioSummary {
  readonly scenario: string;
  readonly lines: readonly Line[];
}

/** Scenarios in the order they were first recorded, but bursts by size; directory before S3, ours first. */
export function summarizeAll(results: Pick<Results, "series">): ScenarioSummary[] {
  const scenarios = [...new Set(results.series.map(({ scenario }) => scenario))];
  return scenarios.map((scenario) => ({
    scenario,
    lines: results.series
      .filter((series) => series.scenario === scenario)
      .map(summarize)
      .sort((a, b) => rank(a) - rank(b)),
  }));
}

function rank({ series }: Line): number {
  return (series.store === "s3" ? 2 : 0) + (series.ours ? 0 : 1);
}

/** Our line with the same store and, where there are several, the codec the title of the other names. */
export function counterpartOf(line: Line, lines: readonly Line[]): Line | undefined {
  const ours = lines.filter(({ series }) => series.ours && series.store === line.series.store);
  // On a different codec speed says little: barman-cloud writes gzip here.
  return (
    ours.find(({ series }) => line.series.title.includes("gzip") && series.title.includes("gzip")) ?? ours[0]
  );
}

/** How much more `of` a contender uses than we do per unit of work: above 1 we are better. */
export function ratio(line: Line, ours: Line, of: (line: Line) => number | undefined): number | undefined {
  const theirs = of(line);
  const mine = of(ours);
  if (theirs === undefined || mine === undefined || mine === 0) return undefined;
  return theirs / line.units / (mine / ours.units);
}

export function medianWallMs(line: Line): number {
  return line.wall.median;
}
