import { setTimeout as sleep } from "node:timers/promises";
import type { Contender, OpenRepository, Place } from "../contenders/contender.ts";
import type { BenchCluster } from "../data/cluster.ts";
import { settleDisk } from "../measure/disk.ts";
import { residentMemory } from "../measure/memory.ts";
import type { Reading } from "../measure/meter.ts";
import type { Resident } from "../measure/program.ts";
import { alternated } from "../measure/statistics.ts";
import type { BenchOptions } from "../options.ts";
import type { Recorder } from "../report/results.ts";

/** What every scenario works with. */
export interface Bench extends Omit<Place, "cluster"> {
  readonly options: BenchOptions;
  readonly contenders: readonly Contender[];
  readonly recorder: Recorder;
  /** Progress, on stderr. */
  say(text: string): void;
}

/**
 * Runs `trial` for every contender in every round, in alternating order; slow contenders take part in the first rounds
 * only.
 */
export async function inRounds(
  bench: Bench,
  contenders: readonly Contender[],
  trial: (contender: Contender, round: number) => Promise<void>,
  { slowRepeats = bench.options.sizes.slow.repeats } = {},
): Promise<void> {
  for (let round = 0; round < bench.options.repeats; round++) {
    for (const contender of alternated(contenders, round)) {
      if (contender.slow && round >= slowRepeats) continue;
      await trial(contender, round);
    }
  }
}

/** A repository with its helper running and PostgreSQL archiving into it. */
export interface Archiving extends AsyncDisposable {
  readonly repository: OpenRepository;
  readonly resident: Resident | undefined;
  /** Throws when the helper has died. */
  check(): void;
}

/** Disposing stops the helper and gives PostgreSQL back a command that accepts everything; the repository stays. */
export async function startArchiving(
  bench: Bench,
  cluster: BenchCluster,
  repository: OpenRepository,
): Promise<Archiving> {
  const resident = await repository.startResident();
  await cluster.archiveBy(await repository.archiveCommand());
  await bench.group?.add(await cluster.archiverPid());
  await settleDisk();
  return {
    repository,
    resident,
    check: () => resident?.check(),
    [Symbol.asyncDispose]: async () => {
      await cluster.archiveBy("/bin/true");
      await resident?.stop();
      await untilQuiet(bench);
    },
  };
}

/** Waits until nothing of the last contender runs any more, such as pgBackRest's asynchronous process. */
async function untilQuiet({ group }: Bench): Promise<void> {
  if (group === undefined) return;
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const others = await Promise.all((await group.members()).map(residentMemory));
    if (others.every((other) => other === undefined)) return;
    await sleep(20);
  }
  throw new Error("a process of the last contender is still running after a minute");
}

/** Adds what the store can tell to the reading of `work`. */
export async function withStoreFacts(
  bench: Bench,
  contender: Contender,
  repository: OpenRepository,
  work: () => Promise<Reading>,
): Promise<Reading> {
  const storedBefore = await repository.storedBytes();
  const requestsBefore = contender.store === "s3" ? await bench.s3?.requests() : undefined;
  const reading = await work();
  const requestsAfter = contender.store === "s3" ? await bench.s3?.requests() : undefined;
  return {
    ...reading,
    storedBytes: (await repository.storedBytes()) - storedBefore,
    requests:
      requestsBefore === undefined || requestsAfter === undefined
        ? undefined
        : requestsAfter - requestsBefore,
  };
}
