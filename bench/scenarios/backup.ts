import { ableTo } from "../contenders/all.ts";
import type { Contender, OpenRepository } from "../contenders/contender.ts";
import type { BenchCluster } from "../data/cluster.ts";
import { measure } from "../measure/meter.ts";
import { run } from "../measure/program.ts";
import { inRounds, orFailure, startArchiving, withStoreFacts, type Bench } from "./bench.ts";

/** Repositories with one backup each, by contender. */
export type Kept = Map<Contender, OpenRepository>;

/**
 * Full backups into empty repositories, from the command's start to its end, its WAL included. The repositories of each contender's
 * last round are kept for restores where `keep` wants them; the caller disposes those.
 */
export async function runBackups(
  bench: Bench,
  cluster: BenchCluster,
  scenario: string,
  { keep, ability = "backup" }: { readonly keep: boolean; readonly ability?: "backup" | "copies" },
): Promise<Kept> {
  const kept: Kept = new Map();
  await inRounds(bench, scenario, ableTo(bench.contenders, ability), async (contender) => {
    const repository = await contender.open({ ...bench, cluster });
    await discard(kept, contender);
    try {
      await backUp(bench, cluster, contender, repository, scenario);
    } catch (error) {
      await repository[Symbol.asyncDispose]();
      throw error;
    }
    if (keep && contender.abilities.has("replay")) kept.set(contender, repository);
    else await repository[Symbol.asyncDispose]();
  });
  return kept;
}

/** Gives every contender that can restore a repository with a backup, unmeasured where it has none yet. */
export async function completeKept(bench: Bench, cluster: BenchCluster, kept: Kept): Promise<void> {
  for (const contender of ableTo(bench.contenders, "replay")) {
    if (kept.has(contender)) continue;
    bench.signal.throwIfAborted();
    bench.say(`${contender.id}: a backup to restore from`);
    const ok = await orFailure(bench, "restore", contender, async () => {
      const repository = await contender.open({ ...bench, cluster });
      kept.set(contender, repository);
      await using archiving = await startArchiving(bench, cluster, repository);
      await run(repository.backup, { user: bench.workspace.user, group: bench.group });
      archiving.check();
    });
    if (!ok) await discard(kept, contender);
  }
}

/** Gives up a kept repository, if there is one. */
export async function discard(kept: Kept, contender: Contender): Promise<void> {
  const repository = kept.get(contender);
  kept.delete(contender);
  await repository?.[Symbol.asyncDispose]();
}

async function backUp(
  bench: Bench,
  cluster: BenchCluster,
  contender: Contender,
  repository: OpenRepository,
  scenario: string,
): Promise<void> {
  await using archiving = await startArchiving(bench, cluster, repository);
  const reading = await withStoreFacts(bench, contender, repository, () =>
    measure(bench.group, async () => {
      await run(repository.backup, { user: bench.workspace.user, group: bench.group });
    }),
  );
  archiving.check();
  bench.recorder.add(scenario, contender, reading);
}
