import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, EngineError, fileError } from "../../common/errors.ts";
import { lastLogLines } from "../../postgres/server-log.ts";
import { instanceFolder } from "../instance-folder.ts";
import { readInstanceStatus } from "./instance-client.ts";

export interface SpawnInstanceOptions {
  /** The instance's folder; it holds `instance.json` already. */
  readonly folder: string;
  /** The command line that runs this program: node and its entry file. */
  readonly program: readonly string[];
}

/** Node needs a second at most; on a machine that is busy many of them start at once. */
const patienceMs = 60_000;
const pollMs = 50;

/**
 * Starts the process of an instance (`tidemark instance run FOLDER`) in a session of its own, so that it outlives us, with its output
 * appended to the folder's `instance.log`. Resolves when it answers.
 *
 * @throws EngineError `agent-unreachable` with the last lines of its log when it has ended instead, or is silent for a minute;
 * `file-io`.
 */
export async function spawnInstance({
  folder: path,
  program,
}: SpawnInstanceOptions): Promise<{ pid: number }> {
  const folder = instanceFolder(path);
  const [command, ...words] = program;
  if (command === undefined) throw new EngineError("internal", "there is no program to start");
  const log = await openLog(folder.processLog);
  let child: ChildProcess;
  let logStartByte: number;
  try {
    logStartByte = (await log.stat()).size;
    child = spawn(command, [...words, "instance", "run", folder.root], {
      cwd: "/",
      env: instanceEnvironment(process.env),
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
    const status = await readInstanceStatus(folder.root, patienceMs).catch(() => undefined);
    // Another one may serve the folder: ours is about to say so.
    if (status !== undefined && status.pid === child.pid) return { pid: status.pid };
    await sleep(pollMs);
  }
  throw await silent(child, folder.processLog, logStartByte);
}

async function openLog(path: string) {
  try {
    return await open(path, "a", 0o600);
  } catch (error) {
    throw fileError("open", path, error);
  }
}

async function silent(child: ChildProcess, log: string, sinceByte: number): Promise<EngineError> {
  const { pid, exitCode, signalCode } = child;
  const how =
    signalCode !== null
      ? `ended with signal ${signalCode}`
      : exitCode !== null
        ? `ended with status ${exitCode}`
        : `(${pid}) does not answer`;
  const tail = await lastLogLines(log, sinceByte);
  const quoted = tail.length === 0 ? "" : `; its log ends: ${tail.join(" | ")}`;
  return new EngineError("agent-unreachable", `the instance's process ${how}${quoted}`, {
    hint: `The whole log is in "${log}".`,
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
export function instanceEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && passedOn.test(name)) environment[name] = value;
  }
  return environment;
}
