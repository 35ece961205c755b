import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../common/abort.ts";
import { fileError } from "../common/errors.ts";
import { runProgram } from "../postgres/server-process.ts";

/**
 * Makes everything below the directories durable. One syncfs(2) per file system, by coreutils' `sync -f`, lets the
 * kernel write in the order it likes: 20,000 small files take a fraction of what an fsync each would. Node has no call
 * for it. Where that program is missing or too simple, every file is synced by itself.
 */
export async function syncFileSystems(directories: readonly string[], signal?: AbortSignal): Promise<void> {
  const onePerDevice = new Map<number, string>();
  for (const directory of directories) {
    const { dev } = await stat(directory).catch((error: unknown) => {
      throw fileError("look at", directory, error);
    });
    if (!onePerDevice.has(dev)) onePerDevice.set(dev, directory);
  }
  const synced =
    process.platform === "linux" &&
    (await runProgram("sync", ["-f", ...onePerDevice.values()], { signal }).then(
      ({ code }) => code === 0,
      () => false,
    ));
  if (synced) return;
  throwIfAborted(signal);
  for (const directory of directories) await syncTree(directory);
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncOne(path);
  }
  await syncOne(directory);
}

async function syncOne(path: string): Promise<void> {
  try {
    await using handle = await open(path, "r");
    await handle.sync();
  } catch (error) {
    throw fileError("sync", path, error);
  }
}
