import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import type { ResourceStore } from "../../control/resources/resource-store.ts";
import { temporaryResources } from "../../control/resources/testing/temporary-resources.ts";
import { startApiServer, type ApiServer } from "../../http/api-server.ts";
import { createApi } from "../../http/create-api.ts";

const main = join(import.meta.dirname, "../main.ts");

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ControlUnderTest {
  readonly store: ResourceStore;
  readonly server: ApiServer;
  readonly socketPath: string;
  /** A folder for files, until the end of the test. */
  readonly folder: string;
  /** Runs a command to its end; what it reads from standard input is `input`. */
  run(words: readonly string[], input?: string): Promise<Outcome>;
  /** Starts one that goes on; it is killed at the end of the test. */
  start(words: readonly string[]): { readonly child: ChildProcess; readonly output: () => string };
}

/** A server on a real store and a real socket, and the real commands as processes of their own. */
export async function controlUnderTest(): Promise<ControlUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-commands-"));
  const store = await (await temporaryResources()).open();
  const socketPath = join(folder, "control.sock");
  const app = createApi({ store, log: silentLog, clock: systemClock });
  const server = await startApiServer({ app, socketPath });
  const children: ChildProcess[] = [];
  onTestFinished(async () => {
    for (const child of children) child.kill("SIGKILL");
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  const env = { ...process.env, TIDEMARK_SOCKET: socketPath };
  return {
    store,
    server,
    socketPath,
    folder,
    run: async (words, input = "") =>
      new Promise((resolve) => {
        const child = execFile(process.execPath, [main, ...words], { env }, (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
        });
        child.stdin?.end(input);
      }),
    start: (words) => {
      const child = spawn(process.execPath, [main, ...words], { env, stdio: ["ignore", "pipe", "ignore"] });
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
      children.push(child);
      return { child, output: () => output };
    },
  };
}
