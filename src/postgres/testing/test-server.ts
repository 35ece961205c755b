import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "../../common/testing/at-exit.ts";
import { connect, type SqlConnection, type SqlValue } from "../connection.ts";
import type { PostgresMajor } from "../majors.ts";
import { findServerBinaries, type ServerBinaries } from "../server-binaries.ts";
import { initializeCluster, makeDirectoryFor, type InitializeOptions } from "../server-initialize.ts";
import type { ServerUser } from "../server-process.ts";
import { sendSignal } from "../server-process-tree.ts";
import type { RunningServer } from "../server-running.ts";
import { startServer, type StartOptions } from "../server.ts";
import type { Settings } from "../settings-file.ts";
import { chooseServerUser } from "../unprivileged-user.ts";
import { anyMajorUnderTest } from "./majors-under-test.ts";

/**
 * Disposable real servers for tests. Everything lives in one temporary folder that goes away with `await using`.
 */

/** Quick and small: a test's cluster need not survive a power cut. Any of them can be overridden. */
export const testSettings: Settings = {
  fsync: "off",
  shared_buffers: "16MB",
  max_connections: "20",
  autovacuum: "off",
  log_checkpoints: "off",
  timezone: "UTC",
};

export interface TestFolder extends AsyncDisposable {
  /** Open to everyone, so that the server's user gets through. */
  readonly path: string;
  /** Whom servers run as: undefined when that is ourselves. */
  readonly user: ServerUser | undefined;
  /** Makes a folder below that belongs to the server's user. */
  make(name: string): Promise<string>;
}

/** A temporary folder that the server's user can reach. */
export async function testFolder(): Promise<TestFolder> {
  const user = await chooseServerUser();
  const path = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  await chmod(path, 0o755);
  return {
    path,
    user,
    make: async (name) => {
      const directory = join(path, name);
      await makeDirectoryFor(user, directory);
      return directory;
    },
    // A program that a server started may not have ended yet, such as a prefetcher of its own.
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
}

export interface TestServerOptions extends Partial<
  Pick<InitializeOptions, "walSegmentSizeMib" | "dataChecksums" | "extraArguments">
> {
  /** Default: the newest under test. */
  readonly major?: PostgresMajor;
  /** On top of `testSettings`; they stay for restarts. */
  readonly settings?: Settings;
}

/** A cluster of its own and the server on it. */
export interface TestServer extends AsyncDisposable {
  readonly major: PostgresMajor;
  readonly binaries: ServerBinaries;
  readonly folder: TestFolder;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** The server now running; the one before after a restart has ended. */
  readonly server: RunningServer;
  /** Runs SQL as superuser in a session kept for that. */
  sql<Row extends object = Record<string, unknown>>(
    text: string,
    params?: readonly SqlValue[],
  ): Promise<Row[]>;
  /** A session of its own, as superuser; the caller closes it. */
  connect(options?: { readonly user?: string; readonly database?: string }): Promise<SqlConnection>;
  /** Starts again, after `server.stop`, `server.kill` or the like; stops it first if it runs. Settings are added to the first ones. */
  restart(options?: Partial<Omit<StartOptions, "binaries" | "dataDirectory">>): Promise<RunningServer>;
}

/** Makes a cluster, starts it and waits until it is ready. Stopped and removed by `await using`. */
export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const major = options.major ?? anyMajorUnderTest();
  const binaries = await findServerBinaries({ major });
  const folder = await testFolder();
  const dataDirectory = join(folder.path, "data");
  const { walSegmentSizeMib, dataChecksums, extraArguments } = options;
  try {
    await initializeCluster({
      binaries,
      dataDirectory,
      sync: false,
      walSegmentSizeMib,
      dataChecksums,
      extraArguments,
    });
    return await serveTestCluster({ folder, dataDirectory, binaries, settings: options.settings ?? {} });
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Starts a server on a data directory that exists, such as a restored one; `folder` goes away with it. With
 * `readyTimeoutMs: 0` in `start` it does not wait.
 */
export async function serveTestCluster(given: {
  readonly folder: TestFolder;
  readonly dataDirectory: string;
  readonly binaries: ServerBinaries;
  readonly settings?: Settings;
  readonly start?: Partial<Omit<StartOptions, "binaries" | "dataDirectory" | "settings">>;
}): Promise<TestServer> {
  const { folder, dataDirectory, binaries } = given;
  const base: StartOptions = {
    binaries,
    dataDirectory,
    settings: { ...testSettings, ...given.settings },
    logFile: `${dataDirectory}.log`,
    ...given.start,
  };
  let server = await startServer(base);
  let session: SqlConnection | undefined;
  // A test run that is stopped short must not leave servers behind.
  const callOff = atExit(() => void (server.exit ?? sendSignal(server.pid, "SIGQUIT")));

  const endSession = async () => {
    await session?.close();
    session = undefined;
  };
  return {
    major: binaries.major,
    binaries,
    folder,
    dataDirectory,
    logFile: base.logFile ?? "",
    get server() {
      return server;
    },
    sql: async (text, params) => {
      session ??= await connect({ ...server.connection, applicationName: "test" });
      return session.query(text, params);
    },
    connect: (options) => connect({ ...server.connection, ...options }),
    restart: async (options) => {
      await endSession();
      await server.stop("fast");
      server = await startServer({
        ...base,
        readyTimeoutMs: undefined,
        ...options,
        settings: { ...base.settings, ...options?.settings },
      });
      return server;
    },
    [Symbol.asyncDispose]: async () => {
      callOff();
      await endSession();
      await server.stop("immediate");
      await folder[Symbol.asyncDispose]();
    },
  };
}
