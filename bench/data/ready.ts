import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { archiveStatusDirectory, type BenchCluster } from "./cluster.ts";

/**
 * Marks segments as ready to be archived, oldest first, then wakes the archiver, as the end of an outage does: segments
 * that are written already, are renamed from `.done` to `.ready`, PostgreSQL's own marks. So every contender gets the very same
 * bytes through PostgreSQL's own archiver, as often as needed.
 */
export async function markReady(cluster: BenchCluster, names: readonly string[]): Promise<void> {
  const directory = archiveStatusDirectory(cluster.dataDirectory);
  for (const name of names) await rename(join(directory, `${name}.done`), join(directory, `${name}.ready`));
  // The archiver looks for work when it is signalled, and once a minute.
  cluster.server.reload();
}

/**
 * Waits until nothing is ready any more, calling `check` at every look.
 *
 * @throws Error when nothing was archived for three minutes.
 */
export async function waitUntilArchived(
  cluster: BenchCluster,
  {
    check = () => undefined,
    intervalMs = 5,
  }: { readonly check?: () => void; readonly intervalMs?: number } = {},
): Promise<{ readonly endedAtMs: number }> {
  const directory = archiveStatusDirectory(cluster.dataDirectory);
  let before = Number.POSITIVE_INFINITY;
  let changedAtMs = performance.now();
  for (;;) {
    const names = await readdir(directory);
    const endedAtMs = performance.now();
    const ready = names.filter((name) => name.endsWith(".ready")).length;
    if (ready === 0) return { endedAtMs };
    if (ready !== before) changedAtMs = endedAtMs;
    if (endedAtMs - changedAtMs > 180_000) {
      throw new Error(`${ready} segments wait, and none was archived for three minutes`);
    }
    before = ready;
    check();
    await sleep(intervalMs);
  }
}
