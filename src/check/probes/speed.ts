import { formatBytes, formatDuration, mib } from "../../common/units.ts";
import type { CheckFact } from "../check-fact.ts";
import { contentOf, freshBytes, scratchKey, type Probe, type ProbeLab } from "../lab.ts";

const topic = "speed";
const smallCount = 5;
const segmentBytes = 16 * mib;
/** Slower than this, and archiving may fall behind an ordinary server. */
const slowSegmentMs = 10_000;

/** How long small objects take, and how fast large ones go: measured shortly, one at a time. */
export function speedProbe(largeBytes: number): Probe {
  return async (lab) => measure(lab, largeBytes);
}

async function measure(lab: ProbeLab, largeBytes: number): Promise<readonly CheckFact[]> {
  const { store, signal } = lab;
  const writes: number[] = [];
  const reads: number[] = [];
  for (let count = 0; count < smallCount; count++) {
    const key = scratchKey(lab, `speed-${count}`);
    writes.push(await timed(lab, async () => store.put(key, [freshBytes(1024)], { signal })));
    reads.push(await timed(lab, async () => contentOf(lab, key, 1024)));
  }
  const key = scratchKey(lab, "speed-large");
  const bytes = freshBytes(largeBytes);
  const writeMs = await timed(lab, async () => store.put(key, [bytes], { signal }));
  const readMs = await timed(lab, async () => contentOf(lab, key, largeBytes));
  const segmentMs = (writeMs / largeBytes) * segmentBytes;
  const fact: CheckFact = {
    topic,
    verdict: segmentMs > slowSegmentMs ? "warn" : "ok",
    text:
      `a small object is written in ${formatDuration(median(writes))} and read in ${formatDuration(median(reads))}; ` +
      `one connection writes ${rate(largeBytes, writeMs)} and reads ${rate(largeBytes, readMs)}`,
    consequence: `a WAL segment of 16 MiB takes ${formatDuration(segmentMs)} before compression, and several go at once`,
  };
  if (fact.verdict === "ok") return [fact];
  return [
    {
      ...fact,
      hint: "A server that writes more WAL than this would fall behind: use a store that is nearer.",
    },
  ];
}

async function timed({ clock }: ProbeLab, action: () => Promise<unknown>): Promise<number> {
  const began = clock.monotonicMs();
  await action();
  // A clock's step may be longer than a call.
  return Math.max(0.01, clock.monotonicMs() - began);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function rate(bytes: number, ms: number): string {
  return `${formatBytes((bytes / ms) * 1000)}/s`;
}
