import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerUser } from "../../src/postgres/server-process.ts";
import type { ControlGroup } from "./control-group.ts";

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

export interface Surroundings {
  /** Whom the program runs as: the server's user. */
  readonly user: ServerUser | undefined;
  readonly group?: ControlGroup | undefined;
}

/** Programs get a small environment of their own, so that nothing of the caller's changes what is measured. */
function environmentOf(command: CommandLine): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: "/nonexistent",
    ...command.environment,
  };
}

/**
 * Starts a program in the group. Only root may move a process there, so a shell enters the group first and then becomes
 * the program as the other user; that costs every contender the same two milliseconds.
 */
function start(command: CommandLine, { user, group }: Surroundings): ChildProcess {
  const asUser =
    user === undefined
      ? []
      : ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", "--"];
  const wrapped = [...asUser, command.program, ...command.args];
  const inGroup =
    group === undefined
      ? wrapped
      : ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', `${group.directory}/cgroup.procs`, ...wrapped];
  return spawn(inGroup[0] ?? "", inGroup.slice(1), {
    cwd: "/",
    env: environmentOf(command),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

const outputLimit = 4 * 1024 * 1024;

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    if (text.length < outputLimit) text += chunk;
  });
  return () => text;
}

/** Runs a program to its end and returns what it printed on stdout. Any status but 0 is an error with its output. */
export async function run(command: CommandLine, surroundings: Surroundings): Promise<string> {
  const child = start(command, surroundings);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal ?? "unknown"));
  });
  if (code !== 0) {
    const said = `${stderr()}\n${stdout()}`.trim().slice(-3000);
    throw new Error(`"${command.program} ${command.args.join(" ")}" ended with ${code}: ${said}`);
  }
  return stdout();
}

/** A program that runs until it is stopped. */
export interface Resident {
  readonly pid: number;
  /** Throws with its output when it has ended by itself. */
  check(): void;
  stop(): Promise<void>;
  /** Waits until it has ended by itself; stops it when that takes longer. */
  ended(timeoutMs: number): Promise<void>;
}

export function startResident(command: CommandLine, surroundings: Surroundings): Resident {
  const child = start(command, surroundings);
  const stderr = collect(child.stderr);
  const stdout = collect(child.stdout);
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      ended = error.message;
      resolve();
    });
    child.once("close", (code, signal) => {
      ended = `status ${code ?? signal ?? "unknown"}`;
      resolve();
    });
  });
  const endsWithin = async (timeoutMs: number) => {
    const late = new AbortController();
    const timer = sleep(timeoutMs, false, { signal: late.signal }).catch(() => false);
    const done = await Promise.race([exited.then(() => true), timer]);
    late.abort();
    return done;
  };
  const stop = async () => {
    if (ended === undefined) child.kill("SIGTERM");
    if (await endsWithin(15_000)) return;
    child.kill("SIGKILL");
    await exited;
  };
  return {
    pid: child.pid ?? 0,
    check: () => {
      if (ended === undefined) return;
      throw new Error(
        `"${command.program}" ended by itself with ${ended}: ${(stderr() + stdout()).slice(-3000)}`,
      );
    },
    stop,
    ended: async (timeoutMs) => {
      if (!(await endsWithin(timeoutMs))) await stop();
    },
  };
}
