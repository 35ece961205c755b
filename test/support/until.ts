import { setTimeout as sleep } from "node:timers/promises";

/** Asks again until `problem` gives undefined; throws what it gave last when time is up. */
export async function until(
  problem: () => Promise<string | undefined>,
  { timeoutMs = 30_000, everyMs = 25 }: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await problem();
    if (found === undefined) return;
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs} ms: ${found}`);
    await sleep(everyMs);
  }
}
