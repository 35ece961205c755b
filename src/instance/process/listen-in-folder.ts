import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { listenForRequests, type RequestSocket } from "../../common/request-socket.ts";
import { instanceSocket, writeProcessState, type ServedFolder } from "./process-file.ts";

/** How long the last answers may take to be sent. */
const lastAnswersMs = 1000;

/**
 * Answers whoever asks the process of a folder, and says in `process.json` how to reach it; whoever serves the folder removes
 * that file at the end. Throws `file-io` when nothing can be listened on.
 */
export async function listenInFolder(
  folder: ServedFolder,
  options: {
    /** ISO 8601. */
    readonly startedAt: string;
    readonly answer: (request: unknown) => Promise<unknown>;
    readonly log: Log;
  },
): Promise<RequestSocket> {
  const { startedAt, answer, log } = options;
  // Whoever has an answer finds the process by its file as well, to end it for instance.
  const announced = Promise.withResolvers<void>();
  const socket = await listenForRequests({
    path: instanceSocket(folder),
    answer: async (request) => {
      await announced.promise;
      return answer(request);
    },
    graceMs: lastAnswersMs,
  });
  await writeProcessState(folder, { pid: process.pid, socket: socket.path, startedAt }).catch(
    (error: unknown) => {
      // A full disk must not keep the agent from archiving, which is what empties it.
      log.warn("could not write how to reach this process", { error: describeError(error) });
    },
  );
  announced.resolve();
  return socket;
}
