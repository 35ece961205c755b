import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, EngineError, fileError } from "../../common/errors.ts";
import { lastLogLines } from "../../postgres/server-log.ts";

export interface SpawnResidentOptions {
  /** The command line that runs this program, its words and the folder included. */
  readonly commandLine: readonly string[];
  /** What it says is appended here. */
  readonly logFile: string;
  /** `instance`: for "the instance's process". */
  readonly what: string;
  /** The number of the process that serves the folder now; undefined when nobody does. */
  readonly servedBy: (timeoutMs: number) => Promise<number | undefined>;
}

/** Node needs a second at most; on a machine that is busy many of them start at once. */
const patienceMs = 60_000;
const pollMs = 50;

/**
 * Starts a process that serves a folder, in a session of its own, so that it outlives us. Resolves when it answers.
 *
 * @throws EngineError `agent-unreachable` with the last lines of its log when it has ended instead, or is silent for a minute;
 * `file-io`.
 */
export async function spawnResident(options: SpawnResidentOptions): Promise<{ pid: number }> {
  const { commandLine, logFile, servedBy } = options;
  const [command, ...words] = commandLine;
  if (command === undefined) throw new EngineError("internal", "there is no program to start");
  const log = await openLog(logFile);
  let child: ChildProcess;
  let logStartByte: number;
  try {
    logStartByte = (await log.stat()).size;
    child = spawn(command, words, {
      cwd: "/",
      env: residentEnvironment(process.env),
      stdio: ["ignore", log.fd, log.fd],
      detached: true,
    });
    await once(child, "spawn");
  } catch (cause) {
    throw new EngineError("agent-unreachable", `could not run "${command}": ${describeError(cause)}`, {
      cause,
    });
  } finally {
    await log.close();
  }
  child.unref();
  const deadline = performance.now() + patienceMs;
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    const pid = await servedBy(patienceMs).catch(() => undefined);
    // Another one may serve the folder: ours is about to say so.
    if (pid !== undefined && pid === child.pid) return { pid };
    await sleep(pollMs);
  }
  throw await silent(child, options, logStartByte);
}

async function openLog(path: string) {
  try {
    return await open(path, "a", 0o600);
  } catch (error) {
    throw fileError("open", path, error);
  }
}

async function silent(
  child: ChildProcess,
  { logFile, what }: SpawnResidentOptions,
  sinceByte: number,
): Promise<EngineError> {
  const { pid, exitCode, signalCode } = child;
  const how =
    signalCode !== null
      ? `ended with signal ${signalCode}`
      : exitCode !== null
        ? `ended with status ${exitCode}`
        : `(${pid}) does not answer`;
  const tail = await lastLogLines(logFile, sinceByte);
  const quoted = tail.length === 0 ? "" : `; its log ends: ${tail.join(" | ")}`;
  return new EngineError("agent-unreachable", `the ${what}'s process ${how}${quoted}`, {
    hint: `The whole log is in "${logFile}".`,
    details: { exitStatus: exitCode },
  });
}

/**
 * What the process needs of our environment: where programs and the user's files are, how the network is reached, and what AWS' own
 * tools take from there where no credentials file is named. Other secrets that we were given are not its business.
 */
const passedOn =
  /^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|NODE_\w+|SSL_CERT_\w+|https?_proxy|no_proxy|AWS_\w+|TIDEMARK_(DEBUG|FAULT_POINT))$/i;

/** Exported for tests. */
export function residentEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && passedOn.test(name)) environment[name] = value;
  }
  return environment;
}
