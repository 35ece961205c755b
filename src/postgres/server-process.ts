import { spawn } from "node:child_process";
import { EngineError, describeError } from "../common/errors.ts";
import { throwIfAborted, abortError } from "../common/abort.ts";

/** The operating-system user a server program runs as when we are root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
  /** Login name; the number as text where the system has no name for it. */
  readonly name: string;
}

export interface RunProgramOptions {
  /** Drop to this user (needs root); absent means run as ourselves. */
  readonly user?: ServerUser | undefined;
  /** Added to `serverEnvironment()`. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramResult {
  /** Exit status, or undefined when a signal ended the program. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Output kept per stream; server programs print far less. */
const outputLimit = 256 * 1024;

const passedOn = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "LC_COLLATE", "LC_MESSAGES", "TZ", "TMPDIR"] as const;

/**
 * The environment of server programs: only what they need. `PG*` variables meant for clients change a server
 * (`PGPORT`, `PGDATA`, `PGOPTIONS`), and credentials in ours (`AWS_SECRET_ACCESS_KEY`) would be readable by every
 * superuser of the database, who can run programs as the server.
 */
export function serverEnvironment(
  extra: Readonly<Record<string, string>> = {},
  from: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of passedOn) {
    const value = from[name];
    if (value !== undefined) environment[name] = value;
  }
  environment["PATH"] ??= "/usr/local/bin:/usr/bin:/bin";
  return { ...environment, ...extra };
}

/** uid and gid for `spawn`, which also clears our supplementary groups. */
export function spawnIdentity(user: ServerUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

/**
 * Runs a short program to its end, in `/` (server programs ask for their working directory, and ours may be closed to
 * the user they run as). A non-zero status is a result, not an error.
 *
 * @throws EngineError `postgres-failed` when it cannot be started or exceeds `timeoutMs` (default 10 minutes);
 * `aborted` when the signal fires. In both cases it has been killed.
 */
export async function runProgram(
  path: string,
  args: readonly string[],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  const { signal, timeoutMs = 600_000 } = options;
  throwIfAborted(signal);
  const child = spawn(path, args, {
    cwd: "/",
    env: serverEnvironment(options.environment),
    stdio: ["ignore", "pipe", "pipe"],
    ...spawnIdentity(options.user),
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  let stopped: EngineError | undefined;
  const stop = (error: EngineError) => {
    stopped ??= error;
    child.kill("SIGKILL");
  };
  const onAbort = () => {
    if (signal) stop(abortError(signal));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => stop(new EngineError("postgres-failed", `"${path}" did not finish within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const code = await new Promise<number | undefined>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => resolve(status ?? undefined));
    });
    if (stopped !== undefined) throw stopped;
    return { code, stdout: stdout(), stderr: stderr() };
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("postgres-failed", `could not run "${path}": ${describeError(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    if (text.length < outputLimit) text += chunk;
  });
  return () => text;
}
