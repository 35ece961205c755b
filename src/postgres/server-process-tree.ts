import { readdir, readFile } from "node:fs/promises";
import { systemErrorCode } from "../common/errors.ts";
import { runProgram } from "./server-process.ts";

/**
 * Every process PostgreSQL starts makes a session of its own (InitPostmasterChild calls setsid), so a signal to the
 * postmaster's process group does not reach them: they have to be found by parent.
 */

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Ended, and only waiting for its parent to ask how. */
  readonly zombie: boolean;
}

/** All processes of this machine that we can see: from /proc on Linux, from ps(1) elsewhere. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  if (process.platform !== "linux") {
    const { stdout } = await runProgram("ps", ["-A", "-o", "pid=,ppid=,state="]);
    return stdout.split("\n").flatMap((line) => {
      const [pid, parent, state] = line.trim().split(/\s+/);
      return pid
        ? [{ pid: Number(pid), parent: Number(parent), zombie: state?.startsWith("Z") === true }]
        : [];
    });
  }
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(pids.map((pid) => readProcess(Number(pid))));
  return entries.filter((entry) => entry !== undefined);
}

async function readProcess(pid: number): Promise<ProcessEntry | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // proc(5): pid (name) state ppid …; the name may hold anything, so fields count from its last parenthesis.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { pid, parent: Number(parent), zombie: state === "Z" || state === "X" };
  } catch {
    // It ended while we looked.
    return undefined;
  }
}

/** The processes below `root`, children before grandchildren, without `root` itself. */
export function descendantsOf(root: number, processes: readonly ProcessEntry[]): number[] {
  const found: number[] = [];
  for (let generation = [root]; generation.length > 0;) {
    generation = processes
      .filter(({ pid, parent }) => generation.includes(parent) && pid !== root && !found.includes(pid))
      .map(({ pid }) => pid);
    found.push(...generation);
  }
  return found;
}

/** Sends a signal; false when there is no such process (any more). */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "ESRCH") return false;
    throw error;
  }
}

/** Whether the process exists and has not ended. One that belongs to another user counts. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
  return process.platform !== "linux" || (await readProcess(pid))?.zombie === false;
}

/**
 * Ends a process and everything below it at once, as a power cut would: nothing gets to clean up. The root is stopped
 * first, so that it cannot start another child between the listing and the kill. Resolves when the children are gone.
 */
export async function killTree(root: number): Promise<void> {
  if (!sendSignal(root, "SIGSTOP")) return;
  const below = descendantsOf(root, await listProcesses());
  for (const pid of [root, ...below]) sendSignal(pid, "SIGKILL");
  for (const pid of below) {
    while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
