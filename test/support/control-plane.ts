import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { testFolder, type TestFolder } from "../../src/postgres/testing/test-server.ts";
import { runProgram } from "../../src/postgres/server-process.ts";
import { startTidemark, tidemark, type StartedProgram } from "./programs.ts";
import { until } from "./until.ts";

/** A control plane as people run it: `tidemark up` in a process of its own, and the commands that speak with it. */
export interface ControlPlaneUnderTest extends AsyncDisposable {
  readonly folder: TestFolder;
  readonly state: string;
  /** Starts `tidemark up`; waits until it answers. */
  up(args?: readonly string[]): Promise<StartedProgram>;
  /** Runs a command to its end. */
  run(args: readonly string[]): ReturnType<typeof tidemark>;
  /** The same for one that must succeed: its standard output. */
  ok(args: readonly string[]): Promise<string>;
  /** A command that knows nothing of the control plane. */
  okWithoutState(args: readonly string[]): Promise<string>;
  /** An object as JSON; undefined when it is not there. */
  get<T = Record<string, unknown>>(kind: string, name: string, namespace?: string): Promise<T | undefined>;
  /** A value of a Secret, decoded. */
  secretValue(name: string, key: string, namespace?: string): Promise<string>;
  /** Waits until the Cluster says that it is healthy, and archives. */
  healthy(name: string, namespace?: string): Promise<void>;
  /** Waits until a Backup is completed; throws when it has failed. */
  completed(name: string, namespace?: string): Promise<void>;
  /** A superuser's session on the primary; the caller closes it. */
  connect(
    name: string,
    options?: { readonly namespace?: string; readonly database?: string },
  ): Promise<SqlConnection>;
  /** Writes manifests where the control plane's user can read them. */
  manifests(name: string, text: string): Promise<string>;
}

interface ClusterObject {
  readonly status?: {
    readonly phase?: string;
    readonly phaseReason?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message: string;
    }[];
    readonly tidemark?: { readonly primary?: { readonly socketDirectory: string; readonly port: number } };
  };
}

interface BackupObject {
  readonly status?: { readonly phase?: string; readonly error?: string };
}

const healthyMs = 120_000;
const connectAttempts = 4;

export async function controlPlane(): Promise<ControlPlaneUnderTest> {
  const folder = await testFolder();
  const state = await folder.make("state");
  const inbox = await folder.make("manifests");
  const { user } = folder;
  const started: StartedProgram[] = [];
  const run = async (args: readonly string[]) => tidemark([...args, "--state", state], { user });
  const ok = async (args: readonly string[]) => okWithoutState([...args, "--state", state]);
  const okWithoutState = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await tidemark(args, { user });
    if (code !== 0) throw new Error(`tidemark ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  };
  const get = async <T>(kind: string, name: string, namespace = "default"): Promise<T | undefined> => {
    const { code, stdout, stderr } = await run(["get", kind, name, "-n", namespace, "-o", "json"]);
    if (code === 0) return JSON.parse(stdout) as T;
    if (code === 58) return undefined;
    throw new Error(`get ${kind} ${name} ended with ${code}: ${stderr}`);
  };
  const plane: ControlPlaneUnderTest = {
    folder,
    state,
    run,
    ok,
    okWithoutState,
    get,
    up: async (args = []) => {
      const program = startTidemark(["up", "--state", state, ...args], { user });
      started.push(program);
      const early = program.ended.then(({ code, stderr }) => {
        throw new Error(`tidemark up ended with ${code}: ${stderr}`);
      });
      early.catch(() => undefined);
      await Promise.race([
        early,
        until(
          async () => ((await run(["get", "namespaces"])).code === 0 ? undefined : "it does not answer"),
          {
            timeoutMs: 60_000,
            everyMs: 200,
          },
        ),
      ]);
      return program;
    },
    secretValue: async (name, key, namespace = "default") => {
      const path = `jsonpath={.data.${key}}`;
      const encoded = await ok(["get", "secret", name, "-n", namespace, "--reveal", "-o", path]);
      return Buffer.from(encoded, "base64").toString("utf8");
    },
    healthy: async (name, namespace) =>
      until(
        async () => {
          const cluster = await get<ClusterObject>("cluster", name, namespace);
          const { phase, phaseReason, conditions = [] } = cluster?.status ?? {};
          const archiving = conditions.find(({ type }) => type === "ContinuousArchiving");
          if (phase === "Cluster in healthy state" && archiving?.status !== "False") return undefined;
          return `Cluster ${name} is at "${phase}": ${phaseReason}; archiving: ${archiving?.message}`;
        },
        { timeoutMs: healthyMs, everyMs: 250 },
      ),
    completed: async (name, namespace) =>
      until(
        async () => {
          const backup = await get<BackupObject>("backup", name, namespace);
          if (backup?.status?.phase === "failed")
            throw new Error(`Backup ${name} failed: ${backup.status.error}`);
          return backup?.status?.phase === "completed"
            ? undefined
            : `Backup ${name} is ${backup?.status?.phase}`;
        },
        { timeoutMs: healthyMs, everyMs: 250 },
      ),
    connect: async (name, { namespace, database = "postgres" } = {}) => {
      for (let attempt = 1; ; attempt++) {
        try {
          const cluster = await get<ClusterObject>("cluster", name, namespace);
          const primary = cluster?.status?.tidemark?.primary;
          if (primary === undefined) throw new Error(`Cluster ${name} has no primary`);
          const { socketDirectory: host, port } = primary;
          return await connect({ host, port, user: "postgres", database });
        } catch (error) {
          // Another test's server may have taken its port just now: it moves to another one.
          if (attempt === connectAttempts) throw error;
          await sleep(1000);
        }
      }
    },
    manifests: async (name, text) => {
      const path = join(inbox, `${name}.yaml`);
      await writeFile(path, text, { mode: 0o644 });
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      await run(["down"]);
      for (const program of started) await program[Symbol.asyncDispose]();
      await killWhatIsLeft(state);
      await folder[Symbol.asyncDispose]();
    },
  };
  return plane;
}

/** Instances outlive a control plane that was killed: what a failing test leaves must not live on. */
async function killWhatIsLeft(state: string): Promise<void> {
  await runProgram("pkill", ["-KILL", "-f", state]);
}

/** An example of the repository's, with some of its texts replaced, in a directory of its own. */
export async function exampleWith(
  plane: ControlPlaneUnderTest,
  name: string,
  replacements: readonly (readonly [string, string])[],
): Promise<string> {
  const from = join(import.meta.dirname, "../../examples", name);
  const to = await plane.folder.make(`example-${name}`);
  await mkdir(to, { recursive: true });
  for (const file of await readdir(from)) {
    await copyFile(join(from, file), join(to, file));
    const text = await readFile(join(from, file), "utf8");
    const changed = replacements.reduce((result, [what, by]) => result.replaceAll(what, by), text);
    await writeFile(join(to, file), changed);
  }
  return to;
}
