import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { EngineError, describeError, fileError } from "../common/errors.ts";
import { throwIfAborted } from "../common/abort.ts";
import type { ServerBinaries } from "./server-binaries.ts";
import { binariesReachableBy } from "./server-binaries-access.ts";
import { requireReachable } from "./server-initialize.ts";
import { openServerLog } from "./server-log.ts";
import { serverEnvironment, spawnIdentity, type ServerUser } from "./server-process.ts";
import { isAlive } from "./server-process-tree.ts";
import { RunningServer, type ServerExit } from "./server-running.ts";
import { clusterState } from "./server-state.ts";
import type { Settings } from "./settings-file.ts";
import { canAccess, chooseServerUser } from "./unprivileged-user.ts";

export interface StartOptions {
  readonly binaries: ServerBinaries;
  readonly dataDirectory: string;
  /**
   * Parameters given on the command line: they win over every configuration file, also after a reload, and everyone on
   * the machine can read them. So no secrets here (`primary_conninfo` and the like are refused).
   */
  readonly settings?: Settings | undefined;
  /** Names the socket, and the TCP port where `listen_addresses` is set. Default 5432. */
  readonly port?: number | undefined;
  /** Folder of the Unix socket. Default: a new private one, removed when the server has stopped. */
  readonly socketDirectory?: string | undefined;
  /** Takes the server's output, appended. Default `<dataDirectory>.log`. */
  readonly logFile?: string | undefined;
  /** Role for `RunningServer.connection`. Default `postgres`. */
  readonly superuser?: string | undefined;
  /**
   * How long to wait until the server accepts connections. Default 60 s; 0 does not wait at all, which is right for a
   * recovery of unknown length: use `waitUntilReady` then.
   */
  readonly readyTimeoutMs?: number | undefined;
  /** Environment for the server and for the commands it runs, beside `serverEnvironment()`. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Ends the wait, and with it the server. Once started, the server is stopped by `stop` only. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts `postgres` as a child of this process, without `pg_ctl` in between, so that its end is seen at once and with
 * its exit status. It listens on a Unix socket only, unless `settings` say otherwise. It has a process group and session of
 * its own: Ctrl-C on our terminal does not reach it, and it survives our death (`adoptServer` takes it up again).
 *
 * @throws EngineError `postgres-failed` with the last lines of the server's log, after which nothing is running;
 * `locked` when a server already runs on this directory; `usage`, `config`, `postgres-missing`, `aborted`.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { signal, port = 5432, readyTimeoutMs = 60_000 } = options;
  throwIfAborted(signal);
  const dataDirectory = resolve(options.dataDirectory);
  refuseSecrets(options.settings ?? {});
  const state = await clusterState(dataDirectory);
  if (state.kind === "running") {
    throw new EngineError(
      "locked",
      `a server runs on "${dataDirectory}" already, as process ${state.file.pid}`,
    );
  }
  const user = await chooseServerUser(dataDirectory);
  const binaries = await binariesReachableBy(user, options.binaries);
  await requireReachable(user, dataDirectory);
  const sockets = await socketDirectoryFor(options.socketDirectory, port, user);
  const logFile = options.logFile ?? `${dataDirectory}.log`;
  try {
    const log = await openServerLog(logFile, user);
    const child = spawnServer(options, {
      dataDirectory,
      port,
      user,
      binaries,
      sockets,
      logFd: log.handle.fd,
    });
    const exited = endOf(child, sockets);
    await spawned(child);
    await log.handle.close();
    const server = new RunningServer({
      pid: child.pid ?? 0,
      dataDirectory,
      logFile,
      logStartByte: log.sizeBytes,
      connection: {
        host: sockets.directory,
        port,
        user: options.superuser ?? "postgres",
        database: "postgres",
      },
      exited,
      release: () => child.unref(),
    });
    if (readyTimeoutMs > 0) await readyOrStopped(server, readyTimeoutMs, signal);
    return server;
  } catch (error) {
    await sockets.remove();
    throw error;
  }
}

/**
 * Takes up a server that an earlier process of ours left running. Undefined when none runs on the directory. Its exit
 * status cannot be had, only the fact; its socket folder stays.
 */
export async function adoptServer(options: {
  readonly dataDirectory: string;
  readonly logFile?: string | undefined;
  readonly superuser?: string | undefined;
}): Promise<RunningServer | undefined> {
  const dataDirectory = resolve(options.dataDirectory);
  const state = await clusterState(dataDirectory);
  if (state.kind !== "running") return undefined;
  const { pid, port = 5432, socketDirectory } = state.file;
  return new RunningServer({
    pid,
    dataDirectory,
    logFile: options.logFile ?? `${dataDirectory}.log`,
    logStartByte: 0,
    connection: {
      host: socketDirectory ?? "localhost",
      port,
      user: options.superuser ?? "postgres",
      database: "postgres",
    },
    exited: watchUntilGone(pid),
  });
}

async function watchUntilGone(pid: number): Promise<ServerExit> {
  while (await isAlive(pid)) {
    // A watcher alone is no reason for our process to stay.
    await new Promise<void>((wake) => setTimeout(wake, 250).unref());
  }
  return { code: undefined, signal: undefined };
}

async function readyOrStopped(
  server: RunningServer,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await server.waitUntilReady({ timeoutMs, signal });
  } catch (error) {
    await server.stop("immediate");
    throw error;
  }
}

interface Prepared {
  readonly dataDirectory: string;
  readonly port: number;
  readonly user: ServerUser | undefined;
  readonly binaries: ServerBinaries;
  readonly sockets: SocketDirectory;
  readonly logFd: number;
}

function spawnServer(options: StartOptions, prepared: Prepared) {
  const { dataDirectory, port, user, binaries, sockets, logFd } = prepared;
  const settings: Settings = {
    // A configuration file's own wins over -D, so that a restored server could start on the directory of its origin.
    data_directory: dataDirectory,
    listen_addresses: "",
    port: String(port),
    unix_socket_directories: sockets.directory,
    ...options.settings,
  };
  const args = ["-D", dataDirectory];
  for (const [name, value] of Object.entries(settings)) args.push("-c", `${name}=${value}`);
  return spawn(join(binaries.directory, "postgres"), args, {
    cwd: dataDirectory,
    env: serverEnvironment(options.environment),
    stdio: ["ignore", logFd, logFd],
    detached: true,
    ...spawnIdentity(user),
  });
}

type ServerChild = ReturnType<typeof spawnServer>;

/** Resolves when the child has ended and its own socket folder is gone. */
function endOf(child: ServerChild, sockets: SocketDirectory): Promise<ServerExit> {
  const end = new Promise<ServerExit>((settle) => {
    child.once("exit", (code, signal) => settle({ code: code ?? undefined, signal: signal ?? undefined }));
  });
  return end.then(async (exit) => {
    // A folder that cannot be removed is litter in /tmp, no failure of the server.
    await sockets.remove().catch(() => undefined);
    return exit;
  });
}

async function spawned(child: ServerChild): Promise<void> {
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw new EngineError("postgres-failed", `could not run "${child.spawnfile}": ${describeError(cause)}`, {
      cause,
    });
  }
}

interface SocketDirectory {
  readonly directory: string;
  /** Removes the folder if it is our own; safe to repeat. */
  remove(): Promise<void>;
}

/** sockaddr_un.sun_path with its end mark: 108 bytes on Linux, 104 on macOS and the BSDs. */
const socketPathBytes = process.platform === "linux" ? 107 : 103;

function fits(directory: string, port: number): boolean {
  return Buffer.byteLength(join(directory, `.s.PGSQL.${port}`)) <= socketPathBytes;
}

async function socketDirectoryFor(
  given: string | undefined,
  port: number,
  user: ServerUser | undefined,
): Promise<SocketDirectory> {
  if (given !== undefined) {
    if (!fits(given, port)) {
      throw new EngineError(
        "usage",
        `the socket folder "${given}" is too long: a socket's path has at most ${socketPathBytes} bytes`,
      );
    }
    await requireReachable(user, given);
    return { directory: resolve(given), remove: async () => undefined };
  }
  const parent = await temporaryParent(port, user);
  try {
    const directory = await mkdtemp(join(parent, "tidemark-"));
    if (user !== undefined) await chown(directory, user.uid, user.gid);
    return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
  } catch (error) {
    throw fileError("make a socket folder in", parent, error);
  }
}

/** TMPDIR unless it is too long for a socket's path or, as below /root, closed to the server's user. */
async function temporaryParent(port: number, user: ServerUser | undefined): Promise<string> {
  const wanted = tmpdir();
  if (!fits(join(wanted, "tidemark-XXXXXX"), port)) return "/tmp";
  return (await canAccess(user, [{ path: wanted, access: "x" }])) ? wanted : "/tmp";
}

/** Parameters whose values hold or may hold passwords. */
const secretParameters = new Set(["primary_conninfo", "ssl_passphrase_command"]);

function refuseSecrets(settings: Settings): void {
  const secret = Object.keys(settings).find((name) => secretParameters.has(name.toLowerCase()));
  if (secret === undefined) return;
  throw new EngineError("usage", `"${secret}" may hold a password and cannot be given on the command line`, {
    hint: "Write it to a configuration file in the data directory instead.",
  });
}
