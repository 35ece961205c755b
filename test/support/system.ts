import { join } from "node:path";
import { archiveCommandLine } from "../../src/agent/shell-text.ts";
import { spoolRootOf } from "../../src/agent/spool.ts";
import { silentLog } from "../../src/common/log.ts";
import type { ProgramResult } from "../../src/postgres/server-process.ts";
import { parseSystemIdentifier, type SystemIdentifier } from "../../src/postgres/system-identifier.ts";
import {
  testServer,
  type TestServer,
  type TestServerOptions,
} from "../../src/postgres/testing/test-server.ts";
import type { Repository } from "../../src/repository/repository.ts";
import { parseServerName } from "../../src/repository/server-name.ts";
import { openFileStore } from "../../src/storage/file/file-store.ts";
import {
  startTidemark,
  tidemark,
  tidemarkJson,
  type ProgramOptions,
  type StartedProgram,
} from "./programs.ts";

/**
 * A whole system: a real server whose `archive_command` is ours, a repository in a directory, and the command line run
 * as the server's user, as on a machine of its own.
 */
export interface System extends AsyncDisposable {
  readonly server: TestServer;
  readonly systemIdentifier: SystemIdentifier;
  readonly repositoryDirectory: string;
  readonly spoolDirectory: string;
  /** The same repository, for the engine's own functions. */
  readonly repository: Repository;
  /** `--repo … --server main`. */
  readonly where: readonly string[];
  /** A path in a directory that belongs to the server's user. */
  path(name: string): string;
  /** Runs `tidemark … --repo … --server main` to its end. */
  run(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** The same with `-o json`, for a run that must succeed. */
  json<T>(args: readonly string[], options?: ProgramOptions): Promise<T>;
  start(args: readonly string[], options?: ProgramOptions): StartedProgram;
  /** Starts the agent and waits until it serves; `dataDirectory` is another than the first server's after a restore. */
  agent(options?: AgentOptions): Promise<StartedProgram>;
}

export interface AgentOptions extends ProgramOptions {
  readonly dataDirectory?: string;
  readonly args?: readonly string[];
}

export type SystemOptions = Pick<TestServerOptions, "major" | "walSegmentSizeMib" | "settings">;

/** WAL stays in pg_wal, so that what was archived can be compared with what PostgreSQL wrote. */
const keepWal = { wal_keep_size: "2GB", max_wal_size: "2GB", checkpoint_timeout: "1h" };

/** Kept in the cluster, so that restored copies have them too: quick, small, and of one time zone. */
const inherited = {
  fsync: "off",
  shared_buffers: "16MB",
  max_connections: "20",
  autovacuum: "off",
  timezone: "UTC",
  archive_mode: "on",
  track_commit_timestamp: "on",
};

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const server = await testServer({
    walSegmentSizeMib: 1,
    ...options,
    settings: { archive_mode: "on", track_commit_timestamp: "on", ...keepWal, ...options.settings },
  });
  try {
    return await around(server);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

async function around(server: TestServer): Promise<System> {
  const { folder } = server;
  const { user } = folder;
  const repositoryDirectory = await folder.make("repository");
  const spoolDirectory = await folder.make("spool");
  const workDirectory = await folder.make("work");
  const [row] = await server.sql<{ id: string }>(
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  );
  const systemIdentifier = parseSystemIdentifier(row?.id ?? "");
  const archiveCommand = archiveCommandLine(spoolRootOf(spoolDirectory, systemIdentifier));
  for (const [name, value] of Object.entries({ ...inherited, archive_command: archiveCommand }))
    await server.sql(`ALTER SYSTEM SET ${name} = '${value.replaceAll("'", "''")}'`);
  await server.sql("SELECT pg_reload_conf()");
  const store = await openFileStore({ root: repositoryDirectory });
  const where = ["--repo", repositoryDirectory, "--server", "main"];
  const run: System["run"] = async (args, options) => tidemark([...args, ...where], { user, ...options });
  return {
    server,
    systemIdentifier,
    repositoryDirectory,
    spoolDirectory,
    repository: { name: "main", server: parseServerName("main"), store, log: silentLog },
    where,
    path: (name) => join(workDirectory, name),
    run,
    json: async (args, options) => tidemarkJson([...args, ...where], { user, ...options }),
    start: (args, options) => startTidemark([...args, ...where], { user, ...options }),
    agent: async ({ dataDirectory = server.dataDirectory, args = [], ...options } = {}) => {
      const place = ["-D", dataDirectory, "--spool", spoolDirectory];
      const agent = startTidemark(["agent", ...place, ...where, ...args], { user, ...options });
      // With a fault point it may not live that long.
      if (options.faultPoint === undefined) await agent.says('"archiving"');
      return agent;
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
