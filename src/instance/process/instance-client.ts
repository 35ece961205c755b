import { instanceFolder } from "../instance-folder.ts";
import { instanceStatusSchema, type InstanceRequest, type InstanceStatus } from "../instance-status.ts";
import { askFolder, readFolderStatus, type AskedFolder } from "./folder-client.ts";

/** Asks the process of an instance; throws what `askFolder` throws. */
export async function askInstance(
  folderPath: string,
  request: InstanceRequest,
  options: { readonly timeoutMs?: number | undefined } = {},
): Promise<unknown> {
  return askFolder(askedInstance(folderPath), request, options);
}

/**
 * What the instance's process says of it; undefined when nobody is there. Throws `agent-unreachable` when somebody is and does
 * not answer.
 */
export async function readInstanceStatus(
  folderPath: string,
  timeoutMs?: number,
): Promise<InstanceStatus | undefined> {
  return readFolderStatus(askedInstance(folderPath), instanceStatusSchema, timeoutMs);
}

function askedInstance(folderPath: string): AskedFolder {
  return {
    folder: instanceFolder(folderPath),
    what: "instance",
    hint: "Start it with: tidemark instance run.",
  };
}
