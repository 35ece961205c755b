import { EngineError, isEngineError, systemErrorCode } from "../../common/errors.ts";
import { askSocket } from "../../common/request-client.ts";
import { instanceFolder } from "../instance-folder.ts";
import { instanceStatusSchema, type InstanceRequest, type InstanceStatus } from "../instance-status.ts";
import { instanceSocket, readProcessState } from "./process-file.ts";

const defaultTimeoutMs = 10_000;

/**
 * Sends one request to the process that serves the folder and gives the result of its answer. `timeoutMs` is how long it may be
 * silent (default 10 s); what was asked goes on when the asker has lost patience.
 *
 * @throws EngineError `agent-unreachable` when there is none (`details.isAbsent`) or it does not answer in time; else what
 * it answered.
 */
export async function askInstance(
  folderPath: string,
  request: InstanceRequest,
  { timeoutMs = defaultTimeoutMs }: { readonly timeoutMs?: number | undefined } = {},
): Promise<unknown> {
  const folder = instanceFolder(folderPath);
  const state = await readProcessState(folder);
  return askSocket({
    socketPath: state?.socket ?? instanceSocket(folder),
    request,
    timeoutMs,
    unreachable: (reason, cause) =>
      unreachable(folder.root, reason, {
        cause,
        isAbsent: ["ENOENT", "ECONNREFUSED", "ECONNRESET"].includes(systemErrorCode(cause) ?? ""),
      }),
  });
}

/**
 * What the instance's process says of it; undefined when nobody is there. Throws `agent-unreachable` when somebody is and does
 * not answer.
 */
export async function readInstanceStatus(
  folderPath: string,
  timeoutMs?: number,
): Promise<InstanceStatus | undefined> {
  try {
    const answer = await askInstance(folderPath, { op: "status" }, { timeoutMs });
    const { data, error } = instanceStatusSchema.safeParse(answer);
    if (data !== undefined) return data;
    throw unreachable(folderPath, "its answer is not understood", { cause: error, isAbsent: false });
  } catch (error) {
    if (isEngineError(error, "agent-unreachable") && error.details["isAbsent"] === true) return undefined;
    throw error;
  }
}

function unreachable(
  root: string,
  reason: string,
  { cause, isAbsent }: { readonly cause?: unknown; readonly isAbsent: boolean },
): EngineError {
  return new EngineError(
    "agent-unreachable",
    `could not reach the process of the instance in "${root}": ${reason}`,
    {
      ...(cause === undefined ? {} : { cause }),
      hint: "Start it with: tidemark instance run.",
      details: { isAbsent },
    },
  );
}
