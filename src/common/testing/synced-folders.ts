import { readlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { onTestFinished, vi } from "vitest";

/** What this process syncs from now on until the end of the test, by its path at that moment, in order (Linux). */
export async function watchSyncs(): Promise<readonly string[]> {
  const handle = await open("/", "r");
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const synced: string[] = [];
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its handle again
  const original = prototype.sync;
  const spy = vi.spyOn(prototype, "sync").mockImplementation(async function (this: typeof handle) {
    synced.push(readlinkSync(`/proc/self/fd/${this.fd}`));
    return original.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  return synced;
}
