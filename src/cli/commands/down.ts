import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { connectFor } from "../control-client.ts";
import type { SocketOptions } from "../../control/state-directory.ts";

export interface DownOptions extends SocketOptions {
  readonly leaveRunning?: boolean;
}

const begun = z.object({ pid: z.number() });
const patienceMs = 330_000;

/** `tidemark down`: ends the control plane, and with it the instances unless they are to be left. */
export async function run(options: DownOptions, signal: AbortSignal): Promise<void> {
  const client = await connectFor(options);
  const body = { leaveInstances: options.leaveRunning === true };
  const { pid } = begun.parse(
    await client.request("/tidemark/v1/shutdown", { method: "POST", body, signal }),
  );
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 200) {
    const isGone = await client.request("/healthz", { signal }).then(
      () => false,
      (error: unknown) => isEngineError(error, "control-unreachable"),
    );
    // It answers no more first, and then stops what it runs.
    if (isGone && !isAlive(pid)) {
      process.stdout.write(
        options.leaveRunning === true
          ? "The control plane has ended; instances go on running and archiving.\n"
          : "Stopped. All data are kept; tidemark up starts everything again.\n",
      );
      return;
    }
    await sleep(200, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
  throw new EngineError("control-unreachable", `the control plane (process ${pid}) does not end`, {
    hint: "Its log says what it waits for.",
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process: of another user, so it lives.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
