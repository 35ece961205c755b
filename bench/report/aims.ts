import { mib } from "../../src/common/units.ts";
import {
  counterpartOf,
  medianWallMs,
  ratio,
  summarizeAll,
  type Line,
  type ScenarioSummary,
} from "./summary.ts";
import type { Results } from "./results.ts";

export interface Aim {
  readonly aim: string;
  /** What came out, as text. */
  readonly measured: string;
  /** Undefined when it was not measured in this run. */
  readonly met: boolean | undefined;
}

/** The aims the project has set itself, each with what this run says of it. */
export function judgeAims(results: Results): Aim[] {
  const summaries = summarizeAll(results);
  const largest = (kind: string) =>
    summaries
      .filter(({ scenario }) => scenario.startsWith(`burst-${kind}-`))
      .sort((a, b) => Number(b.scenario.split("-")[2]) - Number(a.scenario.split("-")[2]))[0];
  const named = (scenario: string) => summaries.find((summary) => summary.scenario === scenario);
  const idle = lineOf(named("agent-idle"), "tidemark-dir-zstd");
  const help = lineOf(named("help"), "tidemark-dir-zstd");
  const easy = lineOf(largest("easy"), "tidemark-dir-zstd");
  return [
    atLeast(
      "drains 120 easy segments a second",
      easy?.rate,
      120,
      (value) => `${value.toFixed(0)} segments/s`,
    ),
    faster(
      "drains hard segments 2 × as fast as asynchronous pgBackRest",
      largest("hard"),
      "pgbackrest-async",
      2,
    ),
    faster("backs up 1.5 × as fast as pgBackRest", named("backup"), "pgbackrest-sync", 1.5),
    atMost(
      "backs up into two repositories in 1.15 × the time of the slower one",
      secondCopy(named("copies")),
      1.15,
      (value) => `${value.toFixed(2)} ×`,
    ),
    faster("restores 1.5 × as fast as pgBackRest", named("restore"), "pgbackrest-sync", 1.5),
    faster("backs up 20 × as fast as barman-cloud", named("backup"), "barman-cloud-s3-gzip", 20),
    faster("restores 20 × as fast as barman-cloud", named("restore"), "barman-cloud-s3-gzip", 20),
    atMost("agent: 90 MiB at most when idle", idle?.peakBytes, 90 * mib, formatMib),
    atMost("agent: 256 MiB at most when busy", busiest(summaries), 256 * mib, formatMib),
    atMost("--help in less than 120 ms", help?.wall.median, 120, (value) => `${value.toFixed(0)} ms`),
  ];
}

const formatMib = (bytes: number) => `${(bytes / mib).toFixed(0)} MiB`;

function lineOf(summary: ScenarioSummary | undefined, contender: string): Line | undefined {
  return summary?.lines.find(({ series }) => series.contender === contender);
}

/** How many times as long a backup takes when a fast repository gets it too. */
function secondCopy(summary: ScenarioSummary | undefined): number | undefined {
  const alone = lineOf(summary, "tidemark-limited");
  const both = lineOf(summary, "tidemark-limited-and-dir");
  return alone === undefined || both === undefined ? undefined : ratio(both, alone, medianWallMs);
}

/** The largest peak of our processes in any burst. */
function busiest(summaries: readonly ScenarioSummary[]): number | undefined {
  const peaks = summaries
    .filter(({ scenario }) => scenario.startsWith("burst-") || scenario === "latency")
    .flatMap(({ lines }) => lines)
    .flatMap(({ series, peakBytes }) => (series.ours && peakBytes !== undefined ? [peakBytes] : []));
  return peaks.length === 0 ? undefined : Math.max(...peaks);
}

function faster(aim: string, summary: ScenarioSummary | undefined, peer: string, wanted: number): Aim {
  const line = lineOf(summary, peer);
  const ours = line === undefined ? undefined : counterpartOf(line, summary?.lines ?? []);
  const factor = line === undefined || ours === undefined ? undefined : ratio(line, ours, medianWallMs);
  return atLeast(aim, factor, wanted, (value) => `${value.toFixed(value < 10 ? 2 : 0)} ×`);
}

function atLeast(
  aim: string,
  value: number | undefined,
  wanted: number,
  format: (value: number) => string,
): Aim {
  return {
    aim,
    measured: value === undefined ? "not measured" : format(value),
    met: value === undefined ? undefined : value >= wanted,
  };
}

function atMost(
  aim: string,
  value: number | undefined,
  wanted: number,
  format: (value: number) => string,
): Aim {
  return {
    aim,
    measured: value === undefined ? "not measured" : format(value),
    met: value === undefined ? undefined : value <= wanted,
  };
}
