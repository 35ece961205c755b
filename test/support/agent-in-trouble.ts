import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { atExit } from "../../src/common/testing/at-exit.ts";
import { agentStatus, type AgentStatus } from "../../src/agent/agent-status.ts";
import { serverEnvironment, spawnIdentity } from "../../src/postgres/server-process.ts";
import type { System } from "./system.ts";
import type { Trouble } from "./troubled-store.ts";

/** An agent as a process of its own, with repositories that can be troubled. Disposing stops it. */
export interface AgentInTrouble extends AsyncDisposable {
  trouble(repository: number, trouble: Trouble): void;
  status(): Promise<AgentStatus>;
  kill(): Promise<void>;
}

export async function agentInTrouble(
  system: System,
  directories: readonly string[],
  policy: "all" | number,
): Promise<AgentInTrouble> {
  const { server, spoolDirectory } = system;
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "troubled-agent.ts"),
      server.dataDirectory,
      spoolDirectory,
      String(policy),
      ...directories,
    ],
    {
      cwd: "/",
      env: serverEnvironment({ UV_THREADPOOL_SIZE: "16" }),
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      ...spawnIdentity(server.folder.user),
    },
  );
  const callOff = atExit(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit").then(callOff);
  await Promise.race([
    once(child, "message"),
    ended.then(() => Promise.reject(new Error("the agent ended before it served"))),
  ]);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  return {
    trouble: (repository, trouble) => void child.send({ repository, trouble }),
    status: async () => agentStatus({ spoolDirectory }),
    kill: async () => end("SIGKILL"),
    [Symbol.asyncDispose]: async () => end("SIGTERM"),
  };
}
