import { setTimeout as sleep } from "node:timers/promises";
import { ableTo } from "../contenders/all.ts";
import type { BenchCluster } from "../data/cluster.ts";
import { measure } from "../measure/meter.ts";
import { run } from "../measure/program.ts";
import { spreadOf } from "../measure/statistics.ts";
import { inRounds, startArchiving, type Bench } from "./bench.ts";

const helpRuns = 5;

/** The time to print the help: what every short command costs at least. */
export async function runHelp(bench: Bench): Promise<void> {
  await inRounds(bench, "help", ableTo(bench.contenders, "help"), async (contender) => {
    const times: number[] = [];
    for (let at = 0; at < helpRuns; at++) {
      const startedAtMs = performance.now();
      await run(contender.help, { user: undefined });
      times.push(performance.now() - startedAtMs);
    }
    bench.recorder.add("help", contender, { wallMs: spreadOf(times)?.median ?? Number.NaN });
  });
}

const idleMs = 5000;

/** The agent with nothing to do: its memory and CPU time. How it is when busy, the bursts show. */
export async function runIdleAgent(bench: Bench, cluster: BenchCluster): Promise<void> {
  await inRounds(bench, "agent-idle", ableTo(bench.contenders, "idle"), async (contender) => {
    await using repository = await contender.open({ ...bench, cluster });
    await using archiving = await startArchiving(bench, cluster, repository);
    await sleep(1000);
    const reading = await measure(bench.group, () => sleep(idleMs));
    archiving.check();
    bench.recorder.add("agent-idle", contender, reading);
  });
}
