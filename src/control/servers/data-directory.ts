import { realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { readLocalSystem } from "../../agent/local-system.ts";
import { describeError, systemErrorCode } from "../../common/errors.ts";
import { currentUserName } from "../../postgres/unprivileged-user.ts";
import { clustersRoot } from "../clusters/cluster-folders.ts";
import { formatKey, type ResourceKey } from "../resources/resource.ts";

/** Why nothing can be done beside a data directory. */
export interface DataDirectoryProblem {
  /** One word, for the condition. */
  readonly reason: string;
  readonly message: string;
  /** It is another's: whatever works beside it has to stop. Otherwise it may be on a disk that is not mounted just now. */
  readonly isRefused: boolean;
}

/** Another Server that was there before. */
export interface OtherServer {
  readonly key: ResourceKey;
  readonly dataDirectory: string;
}

/** Looks whether a data directory is there, is PostgreSQL's, and is ours to work beside. Never throws. */
export async function inspectDataDirectory(
  path: string,
  given: { readonly stateDirectory: string; readonly others: readonly OtherServer[] },
): Promise<DataDirectoryProblem | undefined> {
  let real: string;
  let owner: number;
  try {
    real = await realpath(path);
    owner = (await stat(real)).uid;
  } catch (error) {
    return systemErrorCode(error) === "ENOENT"
      ? waiting("NoDataDirectory", `there is no data directory "${path}" on this machine`)
      : waiting(
          "DataDirectoryUnreadable",
          `user "${currentUserName()}", whom the control plane runs as, cannot look at "${path}": ${describeError(error)}`,
        );
  }
  const clusters = await realOf(clustersRoot(given.stateDirectory));
  if (`${real}${sep}`.startsWith(`${clusters}${sep}`)) {
    return refused(
      "DataDirectoryOfCluster",
      `"${path}" is the data directory of a Cluster of this control plane, which archives it already: give that Cluster its stores`,
    );
  }
  for (const { key, dataDirectory } of given.others) {
    if ((await realOf(dataDirectory)) !== real) continue;
    return refused(
      "DataDirectoryTaken",
      `"${path}" is the data directory of ${formatKey(key)} too, which was there before: list the stores there, and delete this one`,
    );
  }
  if (owner !== process.getuid?.()) {
    return refused(
      "WrongUser",
      `"${path}" belongs to user ${owner}, and the control plane runs as "${currentUserName()}": start tidemark up as the user that PostgreSQL runs as`,
    );
  }
  return controlFileProblem(real, path);
}

async function controlFileProblem(real: string, path: string): Promise<DataDirectoryProblem | undefined> {
  try {
    if ((await readLocalSystem(real)) !== undefined) return undefined;
  } catch (error) {
    return waiting("DataDirectoryUnreadable", describeError(error));
  }
  return waiting(
    "NoDataDirectory",
    `"${path}" is no data directory of PostgreSQL: it has no ${join("global", "pg_control")}; name what SHOW data_directory prints`,
  );
}

async function realOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function refused(reason: string, message: string): DataDirectoryProblem {
  return { reason, message, isRefused: true };
}

function waiting(reason: string, message: string): DataDirectoryProblem {
  return { reason, message, isRefused: false };
}
