import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ableTo } from "../contenders/all.ts";
import type { Contender } from "../contenders/contender.ts";
import { archiveStatusDirectory, type BenchCluster } from "../data/cluster.ts";
import { waitUntilArchived } from "../data/ready.ts";
import { fillSegment } from "../data/wal.ts";
import { measure } from "../measure/meter.ts";
import { spreadOf } from "../measure/statistics.ts";
import { inRounds, startArchiving, type Bench } from "./bench.ts";

/** One hard segment while nothing else happens: from the call of `pg_switch_wal` to `.done`. */
export async function runLatency(bench: Bench, cluster: BenchCluster): Promise<void> {
  await inRounds(bench, "latency", ableTo(bench.contenders, "archive"), (contender) =>
    archiveSingly(bench, cluster, contender),
  );
  await cluster.sql.query("TRUNCATE hard_wal");
}

async function archiveSingly(bench: Bench, cluster: BenchCluster, contender: Contender): Promise<void> {
  const { sizes } = bench.options;
  const count = contender.slow ? sizes.slow.latencySegments : sizes.latencySegments;
  await using repository = await contender.open({ ...bench, cluster });
  await using archiving = await startArchiving(bench, cluster, repository);
  const latencies: number[] = [];
  const reading = await measure(bench.group, async () => {
    for (let done = 0; done < count; done++) {
      const switchWal = await fillSegment(cluster);
      await waitUntilArchived(cluster, { check: archiving.check });
      const startedAtMs = performance.now();
      await untilDone(cluster, await switchWal());
      latencies.push(performance.now() - startedAtMs);
    }
  });
  const wallMs = spreadOf(latencies)?.median ?? Number.NaN;
  // The CPU time includes the segments before each fill, which are not timed: it is told by the bursts.
  bench.recorder.add("latency", contender, { wallMs, memory: reading.memory, units: 1 });
}

async function untilDone(cluster: BenchCluster, name: string): Promise<void> {
  const done = join(archiveStatusDirectory(cluster.dataDirectory), `${name}.done`);
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const there = await access(done).then(
      () => true,
      () => false,
    );
    if (there) return;
    await sleep(1);
  }
  throw new Error(`segment ${name} was not archived within two minutes`);
}
