import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { EngineError, systemErrorCode } from "../../common/errors.ts";
import { instanceFolder } from "../../instance/instance-folder.ts";
import { isAlive, killTree, sendSignal } from "../../postgres/server-process-tree.ts";
import { clusterState } from "../../postgres/server-state.ts";

/** What lives of an instance: found by what each left on disk, since neither is a child of ours. */
export interface InstanceProcesses {
  readonly instance: number | undefined;
  readonly server: number | undefined;
}

const processFile = z.object({ pid: z.number().int().positive() });

export async function findProcesses(folder: string): Promise<InstanceProcesses> {
  const { process: path, data } = instanceFolder(folder);
  const state = await clusterState(data);
  return {
    instance: await livingProcess(path, folder),
    server: state.kind === "running" ? state.file.pid : undefined,
  };
}

/**
 * The number of the process that serves a folder, by its `process.json`. That number may be another's by now, after a reboot
 * for instance: its command line names the folder.
 */
export async function livingProcess(path: string, folder: string): Promise<number | undefined> {
  let pid: number;
  try {
    ({ pid } = processFile.parse(JSON.parse(await readFile(path, "utf8"))));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError || error instanceof z.ZodError) {
      return undefined;
    }
    throw error;
  }
  if (!(await isAlive(pid))) return undefined;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);
  return commandLine === undefined || commandLine.split("\0").includes(folder) ? pid : undefined;
}

const killLimitMs = 30_000;

/** Kills the process of an instance, then its server with all its children; resolves when none of them is left. */
export async function killAll(folder: string): Promise<void> {
  const deadline = Date.now() + killLimitMs;
  for (;;) {
    const { instance, server } = await findProcesses(folder);
    if (instance === undefined && server === undefined) return;
    // The instance's process first: it would start the server again.
    if (instance !== undefined) sendSignal(instance, "SIGKILL");
    else if (server !== undefined) await killTree(server);
    if (Date.now() > deadline) {
      throw new EngineError("postgres-failed", `process ${instance ?? server} of "${folder}" does not end`, {
        hint: "A process that waits for a broken disk cannot be killed; look at the system's log.",
      });
    }
    await sleep(50);
  }
}
