import { ableTo } from "../contenders/all.ts";
import type { Contender } from "../contenders/contender.ts";
import type { BenchCluster } from "../data/cluster.ts";
import { markReady, waitUntilArchived } from "../data/ready.ts";
import type { WalSupply } from "../data/wal.ts";
import { measure } from "../measure/meter.ts";
import { inRounds, startArchiving, withStoreFacts, type Bench } from "./bench.ts";

/** A backlog of WAL drains through PostgreSQL's archiver: from the first `.ready` to the last `.done`. */
export async function runBursts(bench: Bench, cluster: BenchCluster, supply: WalSupply): Promise<void> {
  const { bursts } = bench.options.sizes;
  for (const count of bursts) {
    const first = count === bursts[0];
    for (const kind of ["easy", "hard"] as const) {
      const contenders = ableTo(bench.contenders, "archive").filter(
        ({ store }) => store === "directory" || first,
      );
      const scenario = `burst-${kind}-${count}`;
      const trial = (contender: Contender) => {
        const share = contender.slow ? Math.min(count, bench.options.sizes.slow.burst) : count;
        return drain(bench, cluster, contender, scenario, supply[kind].slice(0, share));
      };
      await inRounds(bench, scenario, contenders, trial);
    }
  }
}

async function drain(
  bench: Bench,
  cluster: BenchCluster,
  contender: Contender,
  scenario: string,
  names: readonly string[],
): Promise<void> {
  await using repository = await contender.open({ ...bench, cluster });
  await using archiving = await startArchiving(bench, cluster, repository);
  const reading = await withStoreFacts(bench, contender, repository, () =>
    measure(bench.group, async () => {
      await markReady(cluster, names);
      return waitUntilArchived(cluster, { check: archiving.check });
    }),
  );
  bench.recorder.add(scenario, contender, { ...reading, units: names.length });
}
