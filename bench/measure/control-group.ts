import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A control group (cgroup v2) around everything one contender starts. Its `cpu.stat` counts the CPU time of every
 * process that was ever in it, whoever its parent is and however it ended: also of pgBackRest's asynchronous process,
 * which leaves its parent, and of children too short-lived for any sampling. No controller has to be enabled for that.
 */
export interface ControlGroup {
  readonly directory: string;
  /** Takes a running process in; what it starts from now on belongs to the group too. */
  add(pid: number): Promise<void>;
  /** Gives a process back to where it came from. */
  release(pid: number): Promise<void>;
  members(): Promise<number[]>;
  cpu(): Promise<CpuTime>;
  remove(): Promise<void>;
}

export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** Undefined where this process may not make control groups (not root, or a container without them). */
export async function createControlGroup(name: string): Promise<ControlGroup | undefined> {
  const root = await hierarchyRoot();
  if (root === undefined) return undefined;
  const home = join(root, await ownGroup());
  const directory = join(home, name);
  try {
    await mkdir(directory);
  } catch {
    return undefined;
  }
  return {
    directory,
    add: (pid) => writeFile(join(directory, "cgroup.procs"), String(pid)),
    release: (pid) => writeFile(join(home, "cgroup.procs"), String(pid)),
    members: async () => parsePids(await readFile(join(directory, "cgroup.procs"), "utf8")),
    cpu: async () => parseCpuStat(await readFile(join(directory, "cpu.stat"), "utf8")),
    remove: () => removeGroup(directory),
  };
}

async function hierarchyRoot(): Promise<string | undefined> {
  const mounts = await readFile("/proc/mounts", "utf8").catch(() => "");
  return mounts
    .split("\n")
    .map((line) => line.split(" "))
    .find(([, , type]) => type === "cgroup2")?.[1];
}

/** The line `0::/path` of /proc/self/cgroup is the one of version 2. */
async function ownGroup(): Promise<string> {
  const text = await readFile("/proc/self/cgroup", "utf8");
  return /^0::(.*)$/m.exec(text)?.[1] ?? "/";
}

function parsePids(text: string): number[] {
  return text.split("\n").filter(Boolean).map(Number);
}

function parseCpuStat(text: string): CpuTime {
  const field = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0) / 1000;
  return { userMs: field("user_usec"), systemMs: field("system_usec") };
}

/** A group can be removed only when its last process has been reaped, which may take a moment. */
async function removeGroup(directory: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      await rmdir(directory);
      return;
    } catch {
      await sleep(50);
    }
  }
  console.error(`could not remove the control group ${directory}: a process is left in it`);
}
