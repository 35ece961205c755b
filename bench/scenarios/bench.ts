import { setTimeout as sleep } from "node:timers/promises";
import type { Contender, OpenRepository, Place } from "../contenders/contender.ts";
import type { BenchCluster } from "../data/cluster.ts";
import { describeError } from "../../src/common/errors.ts";
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
  /** Fires when the run shall end early: between two trials, so that everything is cleaned up. */
  readonly signal: AbortSignal;
}

/**
 * Runs `trial` for every contender in every round, in alternating order. A contender that fails is left out of the scenario's further rounds, and the report says so: the others' readings
 * must not be lost with it.
 */
export async function inRounds(
  bench: Bench,
  scenario: string,
  contenders: readonly Contender[],
  trial: (contender: Contender, round: number) => Promise<void>,
): Promise<void> {
  const failed = new Set<Contender>();
  for (let round = 0; round < bench.options.repeats; round++) {
    for (const contender of alternated(contenders, round)) {
      if (failed.has(contender)) continue;
      bench.signal.throwIfAborted();
      await orFailure(bench, scenario, contender, () => trial(contender, round)).then((ok) => {
        if (!ok) failed.add(contender);
      });
    }
  }
}

/** Whether `work` succeeded; its failure is recorded. */
export async function orFailure(
  bench: Bench,
  scenario: string,
  contender: Contender,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    bench.recorder.fail(scenario, contender, describeError(error));
    return false;
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
