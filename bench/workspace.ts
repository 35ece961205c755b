import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes, gib } from "../src/common/units.ts";
import { makeDirectoryFor } from "../src/postgres/server-initialize.ts";
import type { ServerUser } from "../src/postgres/server-process.ts";
import { chooseServerUser } from "../src/postgres/unprivileged-user.ts";
import { freeBytes } from "./measure/disk.ts";

/** The folder of one run. Everything the benchmark writes lies below it. */
export interface Workspace extends AsyncDisposable {
  readonly directory: string;
  /** Whom servers and contenders run as; undefined when that is ourselves. */
  readonly user: ServerUser | undefined;
  /** Makes a folder that belongs to the server's user, and returns its path. */
  make(name: string): Promise<string>;
  /** A folder as `make` gives it, with a name not used before. */
  makeFresh(prefix: string): Promise<string>;
}

/** @throws Error when the disk has less than `neededBytes` free. */
export async function openWorkspace(options: {
  readonly parent: string;
  readonly neededBytes: number;
  readonly keep: boolean;
}): Promise<Workspace> {
  const free = await freeBytes(options.parent);
  if (free < options.neededBytes) {
    throw new Error(
      `${options.parent} has ${formatBytes(free)} free, and this run needs ${Math.ceil(options.neededBytes / gib)} GiB; name another folder with --work`,
    );
  }
  const user = await chooseServerUser();
  const directory = await mkdtemp(join(options.parent, "tidemark-bench-"));
  await chmod(directory, 0o755);
  let count = 0;
  const make = async (name: string) => {
    const path = join(directory, name);
    await makeDirectoryFor(user, path);
    return path;
  };
  return {
    directory,
    user,
    make,
    makeFresh: (prefix) => make(`${prefix}-${++count}`),
    [Symbol.asyncDispose]: async () => {
      if (options.keep) console.error(`kept ${directory}`);
      else await rm(directory, { recursive: true, force: true });
    },
  };
}
