import { expect, test } from "vitest";
import { alternated, spreadOf } from "../../bench/measure/statistics.ts";
import { parseOptions } from "../../bench/options.ts";
import { judgeAims } from "../../bench/report/aims.ts";
import { losses } from "../../bench/report/losses.ts";
import { withResults } from "../../bench/report/markdown.ts";
import type { Results, Series } from "../../bench/report/results.ts";
import { formatReport } from "../../bench/report/terminal.ts";

const mib = 1024 ** 2;

function series(scenario: string, contender: string, of: Partial<Series> & Pick<Series, "readings">): Series {
  return {
    scenario,
    contender,
    title: contender,
    store: "directory",
    ours: contender.startsWith("tidemark"),
    ...of,
  };
}

function resultsOf(all: readonly Series[]): Results {
  return {
    format: 1,
    startedAt: "2026-11-21T12:00:00.000Z",
    minutes: 31.4,
    quick: false,
    repeats: 3,
    sizes: {
      dataBytes: 1900 * mib,
      replay: 200,
      tables: 10_000,
      slow: { burst: 8, replay: 20, latencySegments: 3 },
    },
    machine: {
      cores: 2,
      processor: "AMD EPYC",
      memoryGb: 24,
      system: "Debian GNU/Linux 12 (bookworm)",
      kernel: "6.1.0",
      fileSystem: "ext2/ext3",
      loadBefore: 0.1,
      controlGroup: true,
      versions: { Tidemark: "0.1.0", pgBackRest: "2.45" },
    },
    series: all,
    failures: [],
  };
}

test("the median of an even number of readings lies between the middle two", () => {
  expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4, count: 4 });
  expect(spreadOf([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9, count: 3 });
  expect(spreadOf([])).toBeUndefined();
});

test("over as many rounds as contenders, everyone comes first once", () => {
  const rounds = [0, 1, 2, 3].map((round) => alternated(["a", "b", "c", "d"], round));

  for (const round of rounds) expect(round.toSorted()).toEqual(["a", "b", "c", "d"]);
  expect(alternated([], 3)).toEqual([]);
  expect(rounds.map(([first]) => first)).toEqual(["a", "b", "c", "d"]);
  expect(rounds[1]).toEqual(["b", "a", "d", "c"]);
});

test("contenders that did different amounts are compared by their rates", () => {
  const results = resultsOf([
    series("burst-hard-64", "tidemark-s3-gzip", {
      store: "s3",
      title: "Tidemark, gzip",
      readings: [{ wallMs: 8000, units: 64 }],
    }),
    series("burst-hard-64", "barman-cloud-s3-gzip", {
      store: "s3",
      title: "barman-cloud, gzip",
      readings: [{ wallMs: 12_000, units: 8 }],
    }),
  ]);

  // 1500 ms a segment against 125 ms.
  expect(formatReport(results)).toContain("12 × faster");
});

test("an aim that was missed is called missed, and one that was not measured is not called met", () => {
  const results = resultsOf([
    series("burst-easy-256", "tidemark-dir-zstd", { readings: [{ wallMs: 2560, units: 256 }] }),
    series("backup", "tidemark-dir-zstd", { readings: [{ wallMs: 5000 }] }),
    series("backup", "pgbackrest-sync", { readings: [{ wallMs: 10_000 }] }),
  ]);

  const verdicts = judgeAims(results).map(({ aim, measured, met }) => [aim, measured, met]);

  expect(verdicts).toContainEqual(["drains 120 easy segments a second", "100 segments/s", false]);
  expect(verdicts).toContainEqual(["backs up 1.5 × as fast as pgBackRest", "2.00 ×", true]);
  expect(verdicts).toContainEqual(["restores 1.5 × as fast as pgBackRest", "not measured", undefined]);
});

test("a peer that needs less of anything is listed, however much slower it is", () => {
  const reading = (wallMs: number, cpuMs: number, memoryMib: number) => ({
    wallMs,
    cpu: { userMs: cpuMs, systemMs: 0 },
    memory: { sumBytes: memoryMib * mib, processBytes: memoryMib * mib },
  });
  const results = resultsOf([
    series("backup", "tidemark-dir-zstd", { readings: [reading(5000, 9000, 150)] }),
    series("backup", "pgbackrest-sync", { readings: [reading(10_000, 8000, 50)] }),
  ]);

  expect(losses(results)).toEqual([
    "Full backup, against pgbackrest-sync: CPU time 9.00 s to 8.00 s; memory 150 MiB to 50 MiB.",
  ]);
});

test("the page keeps its own text and gets one generated section, however often it is written", () => {
  const results = resultsOf([series("backup", "tidemark-dir-zstd", { readings: [{ wallMs: 5000 }] })]);
  const page = "# Benchmarks\n\nBefore.\n";

  const once = withResults(page, results);
  const twice = withResults(`${once}\nAfter.\n`, results);

  expect(once.startsWith("# Benchmarks\n\nBefore.\n")).toBe(true);
  expect(once).toContain("2 cores of AMD EPYC, 24 GB of memory");
  expect(twice).toBe(`${once}\nAfter.\n`);
});

test("a quick run says that its numbers mean nothing", () => {
  expect(withResults("", { ...resultsOf([]), quick: true })).toContain("These numbers mean nothing.");
});

test("options that make no sense are refused, with the usage", () => {
  expect(() => parseOptions(["--only", "backup,walk"])).toThrow(/"walk" is no scenario\n\nnpm run bench/);
  expect(() => parseOptions(["--repeats", "0"])).toThrow(/--repeats is "0"/);
});
