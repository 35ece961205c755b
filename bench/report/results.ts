import type { Contender } from "../contenders/contender.ts";
import type { Reading } from "../measure/meter.ts";
import { formatMs } from "./format.ts";
import type { Machine } from "./machine.ts";

/** All readings of one contender in one scenario. */
export interface Series {
  /** `burst-easy-64`, `backup`, … */
  readonly scenario: string;
  readonly contender: string;
  readonly title: string;
  readonly store: "directory" | "s3";
  readonly ours: boolean;
  readonly readings: readonly Reading[];
}

/** The JSON file: everything the reports are made from. */
export interface Results {
  readonly format: 1;
  readonly startedAt: string;
  readonly minutes: number;
  readonly quick: boolean;
  readonly repeats: number;
  readonly sizes: {
    readonly dataBytes: number;
    readonly replay: number;
    readonly tables: number;
    readonly slow: {
      readonly burst: number;
      readonly replay: number;
      readonly latencySegments: number;
    };
  };
  readonly machine: Machine;
  readonly series: readonly Series[];
  readonly failures: readonly Failure[];
}

/** A trial that did not come to its end; its contender has no further readings in the scenario. */
export interface Failure {
  readonly scenario: string;
  readonly title: string;
  readonly error: string;
}

export interface Recorder {
  add(scenario: string, contender: Contender, reading: Reading): void;
  fail(scenario: string, contender: Contender, error: string): void;
  readonly series: readonly Series[];
  readonly failures: readonly Failure[];
}

/** Collects readings; `say` is called with a line for each, as progress. */
export function createRecorder(say: (text: string) => void): Recorder {
  const failures: Failure[] = [];
  const all = new Map<string, { readonly series: Omit<Series, "readings">; readonly readings: Reading[] }>();
  return {
    add: (scenario, contender, reading) => {
      const key = `${scenario} ${contender.id}`;
      const { id, title, store, ours } = contender;
      const entry = all.get(key) ?? {
        series: { scenario, contender: id, title, store, ours },
        readings: [],
      };
      entry.readings.push(reading);
      all.set(key, entry);
      say(`${scenario}  ${id}  ${formatMs(reading.wallMs)}`);
    },
    fail: (scenario, { id, title }, error) => {
      failures.push({ scenario, title, error });
      say(`${scenario}  ${id}  FAILED: ${error}`);
    },
    failures,
    get series() {
      return [...all.values()].map(({ series, readings }) => ({ ...series, readings }));
    },
  };
}
