import { readFile, writeFile } from "node:fs/promises";
import { gib } from "../src/common/units.ts";
import { ableTo, chooseContenders } from "./contenders/all.ts";
import { checkTidemarkBuilt } from "./contenders/tidemark.ts";
import { createCluster, findFullServer, type BenchCluster } from "./data/cluster.ts";
import { loadData, loadTables } from "./data/load.ts";
import { waitUntilArchived } from "./data/ready.ts";
import { writeWal, type WalSupply } from "./data/wal.ts";
import { createControlGroup } from "./measure/control-group.ts";
import { settleDisk } from "./measure/disk.ts";
import { parseOptions, usage, type BenchOptions } from "./options.ts";
import { describeMachine } from "./report/machine.ts";
import { withResults } from "./report/markdown.ts";
import { createRecorder, type Results } from "./report/results.ts";
import { formatReport } from "./report/terminal.ts";
import { completeKept, runBackups, type Kept } from "./scenarios/backup.ts";
import type { Bench } from "./scenarios/bench.ts";
import { runBursts } from "./scenarios/burst.ts";
import { runLatency } from "./scenarios/latency.ts";
import { archiveReplay, runRestores } from "./scenarios/restore.ts";
import { runHelp, runIdleAgent } from "./scenarios/small.ts";
import { startS3Server } from "./s3/server.ts";
import { openWorkspace } from "./workspace.ts";

const startedAtMs = performance.now();

function say(text: string): void {
  console.error(`${((performance.now() - startedAtMs) / 1000).toFixed(0).padStart(5)} s  ${text}`);
}

async function main(options: BenchOptions): Promise<void> {
  await checkTidemarkBuilt();
  const binaries = await findFullServer();
  const contenders = chooseContenders(options);
  const startedAt = new Date().toISOString();
  await using workspace = await openWorkspace({
    parent: options.workDirectory,
    neededBytes: (options.quick ? 3 : 30) * gib,
    keep: options.keep,
  });
  const group = await createControlGroup(`tidemark-bench-${process.pid}`);
  await using _group = { [Symbol.asyncDispose]: async () => group?.remove() };
  if (group === undefined)
    say("no control group: CPU time and memory are not measured (needs root and cgroup v2)");
  const machine = await describeMachine({
    workDirectory: workspace.directory,
    binaries,
    controlGroup: group !== undefined,
  });
  await using s3 = contenders.some(({ store }) => store === "s3") ? await startS3Server() : undefined;
  const recorder = createRecorder(say);
  const bench: Bench = { options, workspace, group, s3, contenders, recorder, say, signal: endOfRun() };

  try {
    if (options.only.has("help")) await runHelp(bench);
    await onMainCluster(bench, binaries);
    if (options.only.has("tables")) await onManyTables(bench, binaries);
  } catch (error) {
    if (!bench.signal.aborted) throw error;
    say("ended early; what has been measured follows");
    process.exitCode = 1;
  }

  const results: Results = {
    format: 1,
    startedAt,
    minutes: (performance.now() - startedAtMs) / 60_000,
    quick: options.quick,
    repeats: options.repeats,
    sizes: options.sizes,
    machine,
    series: recorder.series,
    failures: recorder.failures,
  };
  await writeResults(results, options);
}

/** Ctrl-C ends the run after the trial at hand, with everything cleaned up. */
function endOfRun(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => controller.abort(new Error(`ended by ${signal}`)));
  }
  return controller.signal;
}

type Binaries = BenchCluster["binaries"];

/** Everything that happens to the database of easy and hard data. */
async function onMainCluster(bench: Bench, binaries: Binaries): Promise<void> {
  const { only, sizes } = bench.options;
  if (!["agent", "latency", "burst", "backup", "copies", "restore"].some((name) => only.has(name as "agent")))
    return;
  const needsData = only.has("backup") || only.has("copies") || only.has("restore");
  bench.say("loading data");
  await using cluster = await createCluster(`${bench.workspace.directory}/data`, binaries);
  await loadData(cluster, bench.workspace.user, needsData ? sizes.dataBytes : sizes.dataBytes / 8);
  await restartForMeasuring(bench, cluster);

  if (only.has("agent")) await runIdleAgent(bench, cluster);
  const kept: Kept = only.has("backup")
    ? await runBackups(bench, cluster, "backup", { keep: only.has("restore") })
    : new Map();
  if (only.has("copies")) await runBackups(bench, cluster, "copies", { keep: false, ability: "copies" });
  await using _kept = { [Symbol.asyncDispose]: () => disposeKept(kept) };
  if (only.has("restore")) await completeKept(bench, cluster, kept);
  if (!only.has("burst") && !only.has("restore") && !only.has("latency")) return;

  const supply = await supplyWal(bench, cluster);
  if (only.has("latency")) await runLatency(bench, cluster);
  if (only.has("burst")) await runBursts(bench, cluster, supply);
  if (!only.has("restore")) return;
  await archiveReplay(bench, cluster, kept, supply);
  await runRestores(bench, cluster, kept, supply);
}

async function supplyWal(bench: Bench, cluster: BenchCluster): Promise<WalSupply> {
  const { sizes } = bench.options;
  const most = Math.max(...sizes.bursts);
  bench.say(`writing ${most} easy and ${most} hard WAL segments`);
  await cluster.restart({ ...walKept, fsync: "off" });
  const supply = await writeWal(cluster, bench.workspace.user, {
    easyFirst: Math.ceil(sizes.replay / 2),
    easy: most,
    hard: most,
  });
  await restartForMeasuring(bench, cluster);
  return supply;
}

/** No WAL is removed: it is archived again and again. */
const walKept = { wal_keep_size: "200GB" };

/** From now on durable. */
async function restartForMeasuring(bench: Bench, cluster: BenchCluster): Promise<void> {
  await cluster.archiveBy("/bin/true");
  await cluster.restart({ ...walKept, fsync: "on" }, bench.s3?.environment);
  await waitUntilArchived(cluster);
  await settleDisk();
}

async function onManyTables(bench: Bench, binaries: Binaries): Promise<void> {
  if (ableTo(bench.contenders, "backup").length === 0) return;
  bench.say(`making ${bench.options.sizes.tables} tables`);
  await using cluster = await createCluster(`${bench.workspace.directory}/tables`, binaries);
  await loadTables(cluster, bench.options.sizes.tables);
  await restartForMeasuring(bench, cluster);
  await runBackups(bench, cluster, "tables", { keep: false });
}

async function disposeKept(kept: Kept): Promise<void> {
  for (const repository of kept.values()) await repository[Symbol.asyncDispose]();
}

async function writeResults(results: Results, { jsonFile, docsFile }: BenchOptions): Promise<void> {
  await writeFile(jsonFile, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(formatReport(results));
  console.log(`All readings: ${jsonFile}`);
  if (results.failures.length > 0) process.exitCode = 1;
  if (docsFile === undefined) return;
  const page = await readFile(docsFile, "utf8").catch(() => "# Benchmarks\n");
  await writeFile(docsFile, withResults(page, results));
  console.log(`Written up in ${docsFile}`);
}

const options = parseOptions(process.argv.slice(2));
if (options === "help") console.log(usage);
else await main(options);
