import type { ControlGroup, CpuTime } from "./control-group.ts";
import { sampleMemory, type MemoryPeak } from "./memory.ts";

/** One reading of one piece of work. Absent fields could not be measured here. */
export interface Reading {
  readonly wallMs: number;
  readonly cpu?: CpuTime | undefined;
  readonly memory?: MemoryPeak | undefined;
  /** What the repository holds more than before. */
  readonly storedBytes?: number | undefined;
  /** HTTP requests the object store answered meanwhile. */
  readonly requests?: number | undefined;
  /** How much work `wallMs` stands for, where contenders did different amounts: segments, mostly. */
  readonly units?: number | undefined;
}

/**
 * Measures `work`: wall time by the monotonic clock, CPU time and memory of everything in the group. `work` may return
 * the moment it was really over, when it noticed later.
 */
export async function measure(
  group: ControlGroup | undefined,
  work: () => Promise<{ readonly endedAtMs: number } | void>,
): Promise<Reading> {
  const before = await group?.cpu();
  const sampler = group === undefined ? undefined : sampleMemory(() => group.members());
  const startedAtMs = performance.now();
  let endedAtMs: number;
  let memory: MemoryPeak | undefined;
  try {
    const ended = await work();
    endedAtMs = ended?.endedAtMs ?? performance.now();
  } finally {
    memory = await sampler?.stop();
  }
  const after = await group?.cpu();
  return {
    wallMs: endedAtMs - startedAtMs,
    cpu:
      before === undefined || after === undefined
        ? undefined
        : { userMs: after.userMs - before.userMs, systemMs: after.systemMs - before.systemMs },
    memory,
  };
}
