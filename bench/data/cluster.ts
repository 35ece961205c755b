import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { listServerBinaries, type ServerBinaries } from "../../src/postgres/server-binaries.ts";
import { initializeCluster } from "../../src/postgres/server-initialize.ts";
import { descendantsOf, listProcesses } from "../../src/postgres/server-process-tree.ts";
import type { RunningServer } from "../../src/postgres/server-running.ts";
import { startServer } from "../../src/postgres/server.ts";
import { editSettingsFile, withSettingsBlock, type Settings } from "../../src/postgres/settings-file.ts";

/**
 * Settings of every server here. They stand in postgresql.conf, so that a restored server has them too, whoever starts
 * it.
 */
const clusterSettings: Settings = {
  shared_buffers: "512MB",
  max_connections: "40",
  wal_compression: "off",
  // No checkpoint but those asked for, and no WAL removed: the same segments are archived again and again.
  checkpoint_timeout: "1d",
  max_wal_size: "256GB",
  autovacuum: "off",
  archive_mode: "on",
  timezone: "UTC",
  log_checkpoints: "off",
};

/** A PostgreSQL server of the benchmark, with what the contenders need to know of it. */
export interface BenchCluster extends AsyncDisposable {
  readonly binaries: ServerBinaries;
  readonly dataDirectory: string;
  readonly server: RunningServer;
  readonly sql: SqlConnection;
  /** A further session; the caller closes it. */
  connect(): Promise<SqlConnection>;
  /** Makes `command` the archive_command and waits until the archiver has taken it up. */
  archiveBy(command: string): Promise<void>;
  archiverPid(): Promise<number>;
  /** Stops and starts again, with these settings beside the usual. */
  restart(settings: Settings, environment?: Readonly<Record<string, string>>): Promise<void>;
}

/**
 * The newest server that has pgbench beside it, as distributions' packages do.
 *
 * @throws Error when there is none.
 */
export async function findFullServer(): Promise<ServerBinaries> {
  for (const binaries of await listServerBinaries()) {
    if (existsSync(join(binaries.directory, "pgbench"))) return binaries;
  }
  throw new Error("no PostgreSQL with pgbench was found (Debian: apt-get install postgresql-15)");
}

export async function createCluster(dataDirectory: string, binaries: ServerBinaries): Promise<BenchCluster> {
  await initializeCluster({ binaries, dataDirectory, sync: false, dataChecksums: true });
  await editSettingsFile(join(dataDirectory, "postgresql.conf"), dataDirectory, (text) =>
    withSettingsBlock(text, "benchmark", clusterSettings),
  );
  // Loading is not measured; from the first restart on, fsync is on.
  return serve(dataDirectory, binaries, { fsync: "off", archive_command: "/bin/true" });
}

async function serve(
  dataDirectory: string,
  binaries: ServerBinaries,
  first: Settings,
): Promise<BenchCluster> {
  const start = (settings: Settings, environment: Readonly<Record<string, string>> = {}) =>
    startServer({ binaries, dataDirectory, settings, environment });
  let server = await start(first);
  let sql = await connect(server.connection);
  return {
    binaries,
    dataDirectory,
    get server() {
      return server;
    },
    get sql() {
      return sql;
    },
    connect: () => connect(server.connection),
    archiveBy: async (command) => {
      await sql.query(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
      server.reload();
      // Our own session shows the value when it has read the files again, as the archiver does at the same signal.
      await waitUntil("the server to take up archive_command", async () => {
        const [row] = await sql.query<{ value: string }>(
          "SELECT current_setting('archive_command') AS value",
        );
        return row?.value === command;
      });
    },
    archiverPid: () => archiverOf(server.pid),
    restart: async (settings, environment) => {
      await sql.close();
      await server.stop("fast");
      server = await start(settings, environment);
      sql = await connect(server.connection);
    },
    [Symbol.asyncDispose]: async () => {
      await sql.close();
      await server.stop("fast");
    },
  };
}

/** The archiver has no session and so no line in pg_stat_activity with a client; its title names it. */
async function archiverOf(postmasterPid: number): Promise<number> {
  let found: number | undefined;
  await waitUntil("the archiver to start", async () => {
    const pids = descendantsOf(postmasterPid, await listProcesses());
    for (const pid of pids) {
      const title = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (title.startsWith("postgres: archiver")) found = pid;
    }
    return found !== undefined;
  });
  return found ?? 0;
}

/** Polls until `ready`; throws after `timeoutMs`. */
export async function waitUntil(
  what: string,
  ready: () => Promise<boolean>,
  { timeoutMs = 60_000, intervalMs = 20 } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await ready())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(intervalMs);
  }
}

export function archiveStatusDirectory(dataDirectory: string): string {
  return join(dataDirectory, "pg_wal", "archive_status");
}
