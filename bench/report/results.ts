import type { Contender } from "../contenders/contender.ts";
import type { Reading } from "../measure/meter.ts";
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
      readonly repeats: number;
    };
  };
  readonly machine: Machine;
  readonly series: readonly Series[];
}

export interface Recorder {
  add(scenario: string, contender: Contender, reading: Reading): void;
  readonly series: readonly Series[];
}

/** Collects readings; `onReading` is called for each, for progress. */
export function createRecorder(
  onReading: (scenario: string, contender: Contender, reading: Reading) => void,
): Recorder {
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
      onReading(scenario, contender, reading);
    },
    get series() {
      return [...all.values()].map(({ series, readings }) => ({ ...series, readings }));
    },
  };
}
