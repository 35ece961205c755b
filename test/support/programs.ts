import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { atExit } from "../../src/common/testing/at-exit.ts";
import {
  runProgram,
  serverEnvironment,
  spawnIdentity,
  type ProgramResult,
  type ServerUser,
} from "../../src/postgres/server-process.ts";

/** The command line's entry: run from source by the Node that runs the tests. */
export const entry = join(import.meta.dirname, "../../src/cli/main.ts");

export interface ProgramOptions {
  /** Whom it runs as; needs root. Absent: as ourselves. */
  readonly user?: ServerUser | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Kills it with SIGKILL at this labelled step (`src/common/fault-point.ts`). */
  readonly faultPoint?: string | undefined;
}

/** How a process ended, as `waitpid` has it. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A program under way. Disposing kills it. */
export interface StartedProgram extends AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<ProgramEnd>;
  /** Resolves when a line of its stderr holds `text`; rejects when it ends before. */
  says(text: string): Promise<void>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<ProgramEnd>;
  send(signal: NodeJS.Signals): void;
}

/** Runs `tidemark` with these arguments to its end. */
export async function tidemark(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return runProgram(process.execPath, [entry, ...args], {
    user: options.user,
    environment: environmentOf(options),
    timeoutMs: 240_000,
  });
}

/** The same for a run that must succeed, with `-o json`: its result. */
export async function tidemarkJson<T>(args: readonly string[], options: ProgramOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await tidemark([...args, "-o", "json"], options);
  if (code !== 0) throw new Error(`tidemark ${args.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Starts `tidemark` and comes back at once. */
export function startTidemark(args: readonly string[], options: ProgramOptions = {}): StartedProgram {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: "/",
    env: serverEnvironment(environmentOf(options)),
    stdio: ["ignore", "ignore", "pipe"],
    ...spawnIdentity(options.user),
  });
  // A test run that is stopped short must not leave processes behind.
  const callOff = atExit(() => void child.kill("SIGKILL"));
  const output = readLines(child);
  const ended = once(child, "close").then(([code, signal]): ProgramEnd => {
    callOff();
    return {
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stderr: output.lines.join("\n"),
    };
  });
  return {
    pid: child.pid ?? 0,
    ended,
    says: async (text) => {
      const early = ended.then(({ stderr }) => {
        throw new Error(`"${text}" was not said before the end: ${stderr}`);
      });
      await Promise.race([output.waitFor(text), early]);
      early.catch(() => undefined);
    },
    send: (signal) => void child.kill(signal),
    end: async (signal) => {
      child.kill(signal);
      return ended;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Test servers know one role, which the user who runs the tests has by their peer map, whatever its own name is. */
function environmentOf({ environment = {}, faultPoint }: ProgramOptions): Record<string, string> {
  const { NODE_COMPILE_CACHE: cache } = process.env;
  const own = {
    PGUSER: "postgres",
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
    ...environment,
  };
  return faultPoint === undefined ? own : { ...own, TIDEMARK_FAULT_POINT: faultPoint };
}

function readLines(child: ChildProcess) {
  const lines: string[] = [];
  const waiting: { readonly text: string; readonly found: () => void }[] = [];
  if (child.stderr !== null) {
    createInterface(child.stderr).on("line", (line) => {
      lines.push(line);
      for (const { text, found } of waiting) if (line.includes(text)) found();
    });
  }
  return {
    lines,
    waitFor: async (text: string): Promise<void> => {
      if (lines.some((line) => line.includes(text))) return;
      await new Promise<void>((found) => waiting.push({ text, found }));
    },
  };
}
