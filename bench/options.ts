import { parseArgs } from "node:util";
import { tmpdir } from "node:os";

export const scenarioNames = [
  "help",
  "agent",
  "latency",
  "burst",
  "backup",
  "copies",
  "restore",
  "tables",
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** How much of everything. Full sizes are those of the published page; quick ones only prove that all parts work. */
export interface Sizes {
  /** Of the main cluster, half easy and half hard. */
  readonly dataBytes: number;
  /** Segments per burst, ascending; S3 contenders do the first only. */
  readonly bursts: readonly number[];
  /** Segments that a restored server replays, half easy and half hard. */
  readonly replay: number;
  readonly tables: number;
  /** Segments per latency trial. */
  readonly latencySegments: number;
  /** Barman's own share, since it needs a second per segment: its rates are per segment, and the page says so. */
  readonly slow: {
    readonly burst: number;
    readonly replay: number;
    readonly latencySegments: number;
  };
}

export interface BenchOptions {
  readonly repeats: number;
  readonly only: ReadonlySet<ScenarioName>;
  /** Part of a contender's ID; empty means all. */
  readonly contenders: readonly string[];
  readonly quick: boolean;
  readonly s3: boolean;
  readonly sizes: Sizes;
  /** Where data and repositories are made, in a new folder that is removed at the end. */
  readonly workDirectory: string;
  readonly keep: boolean;
  readonly jsonFile: string;
  /** The page whose generated section is replaced; undefined leaves it alone. */
  readonly docsFile: string | undefined;
}

const mib = 1024 ** 2;

const full: Sizes = {
  dataBytes: 1900 * mib,
  bursts: [64, 256],
  replay: 200,
  tables: 10_000,
  latencySegments: 5,
  slow: { burst: 8, replay: 20, latencySegments: 3 },
};

const quick: Sizes = {
  dataBytes: 160 * mib,
  bursts: [8, 24],
  replay: 16,
  tables: 500,
  latencySegments: 2,
  slow: { burst: 2, replay: 4, latencySegments: 1 },
};

export const usage = `npm run bench -- [options]

  --repeats N       readings of each thing (default 5; 1 with --quick)
  --only LIST       some of ${scenarioNames.join(", ")} (comma-separated)
  --contenders LIST some contenders, by a part of their name (tidemark, pgbackrest, barman, dir, s3, …)
  --quick           small data, to see that everything works; the numbers mean nothing
  --no-s3           leave out the S3 contenders and with them the Ceph gateway
  --work DIR        where to put data and repositories (default ${tmpdir()}; 30 GB free, 3 GB with --quick)
  --keep            leave data and repositories there
  --json FILE       where to write all readings (default bench-results.json)
  --docs            replace the generated section of docs/benchmarks.md (--docs-file for another page)
`;

/** Throws an Error with the usage for anything not understood. */
export function parseOptions(argv: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      repeats: { type: "string" },
      only: { type: "string" },
      contenders: { type: "string" },
      quick: { type: "boolean", default: false },
      "no-s3": { type: "boolean", default: false },
      work: { type: "string", default: tmpdir() },
      keep: { type: "boolean", default: false },
      json: { type: "string", default: "bench-results.json" },
      docs: { type: "boolean", default: false },
      "docs-file": { type: "string", default: "docs/benchmarks.md" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const repeats = Number(values.repeats ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(repeats) || repeats < 1)
    throw new Error(`--repeats is "${values.repeats}"\n\n${usage}`);
  return {
    repeats,
    only: parseScenarios(values.only),
    contenders: values.contenders?.split(",") ?? [],
    quick: values.quick,
    s3: !values["no-s3"],
    sizes: values.quick ? quick : full,
    workDirectory: values.work,
    keep: values.keep,
    jsonFile: values.json,
    docsFile: values.docs ? values["docs-file"] : undefined,
  };
}

function parseScenarios(list: string | undefined): ReadonlySet<ScenarioName> {
  if (list === undefined) return new Set(scenarioNames);
  const names = list.split(",").map((name) => {
    const known = scenarioNames.find((candidate) => candidate === name);
    if (known === undefined) throw new Error(`"${name}" is no scenario\n\n${usage}`);
    return known;
  });
  return new Set(names);
}
