import { instanceFolder } from "../instance-folder.ts";
import { readInstanceStatus } from "./instance-client.ts";
import { spawnResident } from "./spawn-resident.ts";

export interface SpawnInstanceOptions {
  /** The instance's folder; it holds `instance.json` already. */
  readonly folder: string;
  /** The command line that runs this program: node and its entry file. */
  readonly program: readonly string[];
}

/**
 * Starts the process of an instance (`tidemark instance run FOLDER`), with its output appended to the folder's
 * `instance.log`. Resolves when it answers; throws what `spawnResident` throws.
 */
export async function spawnInstance({
  folder: path,
  program,
}: SpawnInstanceOptions): Promise<{ pid: number }> {
  const { root, processLog } = instanceFolder(path);
  return spawnResident({
    commandLine: [...program, "instance", "run", root],
    logFile: processLog,
    what: "instance",
    servedBy: async (timeoutMs) => (await readInstanceStatus(root, timeoutMs))?.pid,
  });
}
