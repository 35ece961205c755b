import { askFolder, readFolderStatus, type AskedFolder } from "../process/folder-client.ts";
import { spawnResident } from "../process/spawn-resident.ts";
import { attachedFolder } from "./attached-folder.ts";
import { attachedStatusSchema, type AttachedRequest, type AttachedStatus } from "./attached-status.ts";

/** Asks the process beside a server; throws what `askFolder` throws. */
export async function askAttached(
  folderPath: string,
  request: AttachedRequest,
  options: { readonly timeoutMs?: number | undefined } = {},
): Promise<unknown> {
  return askFolder(askedServer(folderPath), request, options);
}

/** What it says; undefined when nobody is there. Throws `agent-unreachable` when somebody is and does not answer. */
export async function readAttachedStatus(
  folderPath: string,
  timeoutMs?: number,
): Promise<AttachedStatus | undefined> {
  return readFolderStatus(askedServer(folderPath), attachedStatusSchema, timeoutMs);
}

/**
 * Starts it (`tidemark server run FOLDER`), with its output appended to the folder's `agent.log`. Resolves when it answers;
 * throws what `spawnResident` throws.
 */
export async function spawnAttached({
  folder: path,
  program,
}: {
  /** It holds `server.json` already. */
  readonly folder: string;
  /** The command line that runs this program: node and its entry file. */
  readonly program: readonly string[];
}): Promise<{ pid: number }> {
  const { root, processLog } = attachedFolder(path);
  return spawnResident({
    commandLine: [...program, "server", "run", root],
    logFile: processLog,
    what: "server's agent",
    servedBy: async (timeoutMs) => (await readAttachedStatus(root, timeoutMs))?.pid,
  });
}

function askedServer(folderPath: string): AskedFolder {
  return {
    folder: attachedFolder(folderPath),
    what: "server",
    hint: "Start it with: tidemark server run.",
  };
}
