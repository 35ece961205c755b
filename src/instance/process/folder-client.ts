import type { z } from "zod";
import { EngineError, isEngineError, systemErrorCode } from "../../common/errors.ts";
import { askSocket } from "../../common/request-client.ts";
import { instanceSocket, readProcessState, type ServedFolder } from "./process-file.ts";

/** A folder whose process is asked, and in which words it is said that it does not answer. */
export interface AskedFolder {
  readonly folder: ServedFolder;
  /** `instance`: for "the process of the instance in …". */
  readonly what: string;
  readonly hint: string;
}

const defaultTimeoutMs = 10_000;

/**
 * Sends one request to the process that serves a folder and gives the result of its answer. `timeoutMs` is how long it may be
 * silent (default 10 s); what was asked goes on when the asker has lost patience.
 *
 * @throws EngineError `agent-unreachable` when there is none (`details.isAbsent`) or it does not answer in time; else what
 * it answered.
 */
export async function askFolder(
  asked: AskedFolder,
  request: object,
  { timeoutMs = defaultTimeoutMs }: { readonly timeoutMs?: number | undefined } = {},
): Promise<unknown> {
  const state = await readProcessState(asked.folder);
  return askSocket({
    socketPath: state?.socket ?? instanceSocket(asked.folder),
    request,
    timeoutMs,
    unreachable: (reason, cause) =>
      unreachable(asked, reason, {
        cause,
        isAbsent: ["ENOENT", "ECONNREFUSED", "ECONNRESET"].includes(systemErrorCode(cause) ?? ""),
      }),
  });
}

/**
 * What the process says of itself; undefined when nobody is there. Throws `agent-unreachable` when somebody is and does not
 * answer, or not in this form.
 */
export async function readFolderStatus<Status>(
  asked: AskedFolder,
  schema: z.ZodType<Status>,
  timeoutMs?: number,
): Promise<Status | undefined> {
  try {
    const answer = await askFolder(asked, { op: "status" }, { timeoutMs });
    const { data, error } = schema.safeParse(answer);
    if (data !== undefined) return data;
    throw unreachable(asked, "its answer is not understood", { cause: error, isAbsent: false });
  } catch (error) {
    if (isEngineError(error, "agent-unreachable") && error.details["isAbsent"] === true) return undefined;
    throw error;
  }
}

function unreachable(
  { folder, what, hint }: AskedFolder,
  reason: string,
  { cause, isAbsent }: { readonly cause?: unknown; readonly isAbsent: boolean },
): EngineError {
  return new EngineError(
    "agent-unreachable",
    `could not reach the process of the ${what} in "${folder.root}": ${reason}`,
    { ...(cause === undefined ? {} : { cause }), hint, details: { isAbsent } },
  );
}
