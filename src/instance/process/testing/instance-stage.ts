import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished, vi } from "vitest";
import { writeDurableFile } from "../../../common/durable-file.ts";
import { connect, type SqlValue } from "../../../postgres/connection.ts";
import { runProgram } from "../../../postgres/server-process.ts";
import { isAlive, killTree, sendSignal } from "../../../postgres/server-process-tree.ts";
import { adoptServer } from "../../../postgres/server.ts";
import { testFolder, testSettings, type TestFolder } from "../../../postgres/testing/test-server.ts";
import { instanceFolder, type InstanceFolder } from "../../instance-folder.ts";
import type { InstanceSpec } from "../../instance-spec.ts";
import type { InstanceRequest, InstanceStatus } from "../../instance-status.ts";
import { askInstance, readInstanceStatus } from "../instance-client.ts";
import { readProcessState } from "../process-file.ts";
import { spawnInstance } from "../spawn-instance.ts";
import { sampleArchive, sampleSpec } from "./sample-spec.ts";

/** The command line's entry, run from source by the Node that runs the tests. */
const program = [process.execPath, fileURLToPath(new URL("../../../cli/main.ts", import.meta.url))];

export const quickly = { timeout: 60_000, interval: 50 };

/** Room for instances and a repository, all of which end with the test. */
export interface InstanceStage {
  readonly folder: TestFolder;
  /** A directory repository; the server's name in it is `pg`. */
  readonly store: string;
  /** Makes the folder of an instance with this specification; sockets and archive are filled in where they are left out. */
  instance(change?: Partial<InstanceSpec>): Promise<TestInstance>;
  /** Restores the newest state of the archive, and gives the rows of a query there. */
  restored<Row extends object>(sql: string, server?: string): Promise<Row[]>;
}

export interface TestInstance {
  readonly folder: InstanceFolder;
  readonly spec: InstanceSpec;
  /** Replaces instance.json by another version; a process that runs is told. */
  respecify(change: Partial<InstanceSpec>): Promise<void>;
  writeSpec(text: string): Promise<void>;
  /** Starts its process. */
  spawn(): Promise<number>;
  ask(request: InstanceRequest): Promise<unknown>;
  status(): Promise<InstanceStatus>;
  /** Waits until the status fits; gives it. */
  until(fits: (status: InstanceStatus) => boolean): Promise<InstanceStatus>;
  /** Starts it, and waits until its server accepts connections. */
  up(): Promise<InstanceStatus>;
  sql<Row extends object>(text: string, params?: readonly SqlValue[], database?: string): Promise<Row[]>;
  /** Kills its process with SIGKILL. */
  kill(): Promise<void>;
  processLog(): Promise<string>;
}

export async function instanceStage(): Promise<InstanceStage> {
  const folder = await testFolder();
  const store = await folder.make("store");
  const instances: InstanceFolder[] = [];
  onTestFinished(async () => {
    for (const instance of instances) await endInstance(instance);
    await folder[Symbol.asyncDispose]();
  });
  let restores = 0;
  return {
    folder,
    store,
    instance: async (change = {}) => {
      const name = change.name ?? "pg-1";
      const root = await folder.make(name);
      const spec = sampleSpec({
        name,
        socketDirectory: join(root, "run"),
        archive: sampleArchive(store),
        ...change,
        parameters: { ...testSettings, ...change.parameters },
      });
      instances.push(instanceFolder(root));
      return testInstance(folder, instanceFolder(root), spec);
    },
    restored: async <Row extends object>(sql: string, name = "pg") => {
      const directory = join(await folder.make(`restored-${++restores}`), "data");
      const where = ["--repo", store, "--server", name];
      const [node = "", ...words] = program;
      const { code, stderr } = await runProgram(
        node,
        [...words, "base", "restore", directory, "--to-latest", "--start", ...where],
        { user: folder.user },
      );
      if (code !== 0) throw new Error(`the restore ended with ${code}: ${stderr}`);
      const server = await adoptServer({ dataDirectory: directory });
      if (server === undefined) throw new Error("the restored server does not run");
      try {
        await using session = await connect({ ...server.connection, database: "app" });
        return await session.query<Row>(sql);
      } finally {
        await server.stop("immediate");
      }
    },
  };
}

async function testInstance(
  stage: TestFolder,
  folder: InstanceFolder,
  first: InstanceSpec,
): Promise<TestInstance> {
  let spec = first;
  const writeSpec = async (text: string) => writeDurableFile(folder.spec, text, 0o600, stage.user);
  const ask = async (request: InstanceRequest) => askInstance(folder.root, request, { timeoutMs: 120_000 });
  const status = async () => {
    const found = await readInstanceStatus(folder.root);
    if (found === undefined) throw new Error("nobody serves the instance");
    return found;
  };
  const until: TestInstance["until"] = async (fits) =>
    vi.waitFor(async () => {
      const found = await status();
      if (!fits(found)) throw new Error(`the status is ${JSON.stringify(found, undefined, 1)}`);
      return found;
    }, quickly);
  const spawn = async () => (await spawnInstance({ folder: folder.root, program })).pid;
  await writeSpec(JSON.stringify(spec));
  return {
    folder,
    get spec() {
      return spec;
    },
    respecify: async (change) => {
      spec = { ...spec, ...change, version: spec.version + 1 };
      await writeSpec(JSON.stringify(spec));
      if ((await readInstanceStatus(folder.root)) !== undefined) await ask({ op: "configure" });
    },
    writeSpec,
    spawn,
    ask,
    status,
    until,
    up: async () => {
      await spawn();
      return until(({ phase, postgres }) => phase === "running" && postgres !== undefined);
    },
    sql: async (text, params, database = "app") => {
      const { socketDirectory: host, port } = spec;
      await using session = await connect({
        host,
        port,
        user: "postgres",
        database,
        applicationName: "test",
      });
      return await session.query(text, params);
    },
    kill: async () => killProcess(folder),
    processLog: async () => readFile(folder.processLog, "utf8"),
  };
}

async function killProcess(folder: InstanceFolder): Promise<void> {
  const pid = (await readProcessState(folder))?.pid;
  if (pid === undefined) return;
  sendSignal(pid, "SIGKILL");
  await vi.waitFor(async () => {
    if (await isAlive(pid)) throw new Error(`process ${pid} is still there`);
  }, quickly);
}

/** Ends process and server, however they are. */
async function endInstance(folder: InstanceFolder): Promise<void> {
  await killProcess(folder);
  const server = await adoptServer({ dataDirectory: folder.data });
  if (server !== undefined) await killTree(server.pid);
}
