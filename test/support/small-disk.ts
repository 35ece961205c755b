import { execFile } from "node:child_process";
import { statfs, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { testFolder } from "../../src/postgres/testing/test-server.ts";
import type { ServerUser } from "../../src/postgres/server-process.ts";

const run = promisify(execFile);

/** A file system of its own, in memory, that is easily full. Disposing unmounts it. */
export interface SmallDisk extends AsyncDisposable {
  /** Leaves this many bytes free, more than before or less. */
  leaveFree(bytes: number): Promise<void>;
  /** Changes `size` or `nr_inodes`. */
  remount(options: string): Promise<void>;
}

/** Mounts one over a directory that exists. Options as for tmpfs: `size=8m`, `nr_inodes=300`. */
export async function mountSmallDisk(
  directory: string,
  options: string,
  owner: ServerUser | undefined,
): Promise<SmallDisk> {
  const identity = owner === undefined ? "" : `,uid=${owner.uid},gid=${owner.gid}`;
  await run("mount", ["-t", "tmpfs", "-o", `mode=0700,${options}${identity}`, "tidemark-test", directory]);
  const filler = join(directory, "filler");
  return {
    leaveFree: async (bytes) => {
      await writeFile(filler, "");
      const { bavail, bsize } = await statfs(directory);
      await truncate(filler, 0);
      await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
    },
    remount: async (changed) => {
      await run("mount", ["-o", `remount,${changed}`, directory]);
    },
    // Lazily: a server that was just stopped may still be leaving.
    [Symbol.asyncDispose]: async () => {
      await run("umount", ["-l", directory]);
    },
  };
}

/** Why there can be no small disks here; undefined when there can: mounting takes root and the right to mount. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "mounting a small file system needs root";
  await using folder = await testFolder();
  try {
    const disk = await mountSmallDisk(await folder.make("disk"), "size=1m", undefined);
    await disk[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `a small file system cannot be mounted here: ${String(error)}`;
  }
}
