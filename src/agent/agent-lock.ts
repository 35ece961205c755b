import { readFile, rm, stat, utimes } from "node:fs/promises";
import { EngineError, systemErrorCode } from "../common/errors.ts";
import { isListening, readAgentState } from "./agent-client.ts";
import { writeSpoolFile, type Spool } from "./spool.ts";

/** How often a living agent touches `agent.pid`; the waiting scripts rely on a few seconds. */
const heartbeatMs = 1000;

/** A process that has not touched its file for so long is taken for dead, or for hung. */
const heartbeatLimitMs = 5000;

/** Whether the process that wrote this file (`startHeartbeat`) still lives and touches it. */
export async function isBeating(pidFile: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(pidFile);
    // Either way: a clock that was set back must not make a dead process live for hours.
    if (Math.abs(Date.now() - mtimeMs) >= heartbeatLimitMs) return false;
    const pid = Number((await readFile(pidFile, "utf8")).trim());
    return pid > 0 && isRunning(pid);
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
}

/** Throws `locked` when an agent serves this spool: its socket takes connections, which the kernel ends with its process. */
export async function requireUnlocked(spool: Spool): Promise<void> {
  const state = await readAgentState(spool.stateFile).catch(() => undefined);
  if (state === undefined || !(await isListening(state.socket))) return;
  throw new EngineError("locked", `another agent (process ${state.pid}) serves the spool "${spool.root}"`, {
    hint: "Stop it first, or give this one a spool of its own.",
    details: { pid: state.pid },
  });
}

/**
 * Writes `agent.pid` and touches it while alive; `onLost` is called once when another agent has put its own number there
 * (two that started in the same moment): one of them must go. Two that overlap do no harm but work.
 */
export async function startHeartbeat(
  pidFile: string,
  owner: Spool["owner"],
  onLost: () => void,
): Promise<AsyncDisposable> {
  await writeSpoolFile(pidFile, `${process.pid}\n`, { owner });
  const beat = async () => {
    const found = await readFile(pidFile, "utf8").catch(() => "");
    if (found.trim() === "") {
      await writeSpoolFile(pidFile, `${process.pid}\n`, { owner });
    } else if (found.trim() !== String(process.pid)) {
      clearInterval(timer);
      onLost();
      return;
    }
    const now = new Date();
    await utimes(pidFile, now, now);
  };
  let beating: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    // A beat that fails (full disk, vanished folder) is missed; scripts then do without the agent.
    beating = Promise.all([beating, beat()]).then(
      () => undefined,
      () => undefined,
    );
  }, heartbeatMs);
  timer.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      // One under way would find the file gone, and write it anew into a folder that is being removed.
      await beating;
      const found = await readFile(pidFile, "utf8").catch(() => "");
      if (found.trim() === String(process.pid)) await rm(pidFile, { force: true });
    },
  };
}
