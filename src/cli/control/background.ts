import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isListening } from "../../agent/agent-client.ts";
import { throwIfAborted } from "../../common/abort.ts";
import { EngineError, fileError } from "../../common/errors.ts";
import { findControlSocket } from "../../control/state-directory.ts";
import { lastLogLines } from "../../postgres/server-log.ts";
import { selfProgram } from "../self-command.ts";
import { prepareStateDirectory } from "./prepare-state.ts";

const patienceMs = 60_000;

/** What a control plane in the background says. */
export const controlLog = (directory: string): string => join(directory, "control.log");

/**
 * Starts `tidemark up` on the state directory in a session of its own, with its output appended to `control.log` there, and
 * waits until it answers. One that runs already is taken as it is. Returns its socket. Throws `control-unreachable` with
 * the last lines of the log when it has ended instead.
 */
export async function startInBackground(
  directory: string,
  options: {
    readonly logLevel?: string;
    readonly leaveRunning?: boolean;
    readonly settings?: string;
    readonly listen?: string;
  },
  signal: AbortSignal,
): Promise<string> {
  await prepareStateDirectory(directory);
  const present = await listeningSocket(directory);
  if (present !== undefined) return present;
  const logFile = controlLog(directory);
  const log = await open(logFile, "a", 0o600).catch((error: unknown) => {
    throw fileError("open", logFile, error);
  });
  const start = (await log.stat()).size;
  const [command = process.execPath, ...words] = selfProgram();
  const args = [
    ...words,
    "up",
    "--state",
    directory,
    ...(options.logLevel === undefined ? [] : ["--log-level", options.logLevel]),
    ...(options.settings === undefined ? [] : ["--settings", resolve(options.settings)]),
    ...(options.listen === undefined ? [] : ["--listen", options.listen]),
    ...(options.leaveRunning === true ? ["--leave-running"] : []),
  ];
  const child = spawn(command, args, { cwd: "/", detached: true, stdio: ["ignore", log.fd, log.fd] });
  const ended = new AbortController();
  child.once("error", () => ended.abort());
  child.once("exit", () => ended.abort());
  await log.close();
  for (let waitedMs = 0; waitedMs < patienceMs && !ended.signal.aborted; waitedMs += 100) {
    throwIfAborted(signal);
    const socket = await listeningSocket(directory);
    if (socket !== undefined) {
      child.unref();
      return socket;
    }
    await sleep(100);
  }
  const lines = await lastLogLines(logFile, start);
  throw new EngineError(
    "control-unreachable",
    `the control plane did not start: ${lines.at(-1) ?? "it said nothing"}`,
    {
      hint: `Its log is "${logFile}".`,
    },
  );
}

async function listeningSocket(directory: string): Promise<string | undefined> {
  const socket = await findControlSocket({ state: directory }).catch(() => undefined);
  return socket !== undefined && (await isListening(socket)) ? socket : undefined;
}
