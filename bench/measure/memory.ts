import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Peaks seen while sampling, in bytes. */
export interface MemoryPeak {
  /** Resident memory of all processes together; pages that they share count once for each. */
  readonly sumBytes: number;
  /** Resident memory of the largest single process, from the kernel's own high-water mark. */
  readonly processBytes: number;
}

export interface MemorySampler {
  /** Ends sampling. */
  stop(): Promise<MemoryPeak>;
}

/**
 * Reads the resident memory of `pids()` every `intervalMs`. PostgreSQL's own processes (the archiver, from which the
 * archive command descends) are left out: they map shared buffers, which no contender answers for.
 */
export function sampleMemory(pids: () => Promise<number[]>, intervalMs = 25): MemorySampler {
  let sumBytes = 0;
  let processBytes = 0;
  const ending = new AbortController();

  async function look(): Promise<void> {
    const readings = await Promise.all((await pids()).map(residentMemory));
    const known = readings.filter((reading) => reading !== undefined);
    sumBytes = Math.max(
      sumBytes,
      known.reduce((sum, reading) => sum + reading.nowBytes, 0),
    );
    processBytes = Math.max(processBytes, ...known.map((reading) => reading.peakBytes));
  }

  async function run(): Promise<void> {
    while (!ending.signal.aborted) {
      await look();
      await sleep(intervalMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
    await look();
  }

  const running = run();
  return {
    stop: async () => {
      ending.abort();
      await running;
      return { sumBytes, processBytes };
    },
  };
}

export interface ResidentMemory {
  readonly nowBytes: number;
  readonly peakBytes: number;
}

/** Undefined for a process that has just ended, a kernel thread, and PostgreSQL itself. */
export async function residentMemory(pid: number): Promise<ResidentMemory | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  if (status.startsWith("Name:\tpostgres\n")) return undefined;
  const field = (name: string) => {
    const kib = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  };
  const nowBytes = field("VmRSS");
  const peakBytes = field("VmHWM");
  return nowBytes === undefined || peakBytes === undefined ? undefined : { nowBytes, peakBytes };
}
