import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { abortError, throwIfAborted } from "../../../common/abort.ts";
import { EngineError, systemErrorCode } from "../../../common/errors.ts";
import { formatDuration } from "../../../common/units.ts";

export interface CommandRun {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface CommandOptions {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
}

/**
 * Runs a program without a shell and without input, and waits for its end. It has a process group of its own, so that what
 * it starts ends with it. Throws `secret-unavailable` when it cannot be started, takes too long or says too much; `aborted`
 * when the signal fires. In all three cases nothing of it runs any more.
 */
export async function runCommand(
  [program = "", ...args]: readonly string[],
  { directory, environment, timeoutMs, maxOutputBytes }: CommandOptions,
  signal: AbortSignal,
): Promise<CommandRun> {
  throwIfAborted(signal);
  const child = spawn(program, args, {
    cwd: directory,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let stopped: EngineError | undefined;
  const stop = (error: EngineError): void => {
    stopped ??= error;
    killGroup(child.pid);
  };
  const onAbort = (): void => stop(abortError(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => stop(unavailable(`"${program}" did not end within ${formatDuration(timeoutMs)}`)),
    timeoutMs,
  );
  const tooMuch = (): void => stop(unavailable(`"${program}" wrote more than a Secret may hold`));
  const stdout = collect(child.stdout, maxOutputBytes, tooMuch);
  // Only its first line is ever looked at; the rest is read so that the program is not held up.
  const stderr = collect(child.stderr, maxStderrBytes, () => undefined);
  try {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code ?? undefined));
    });
    if (stopped !== undefined) throw stopped;
    return { status, stdout: stdout(), stderr: stderr() };
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    const code = systemErrorCode(cause) ?? "unknown error";
    throw unavailable(
      code === "ENOENT" ? `there is no program "${program}"` : `could not run "${program}": ${code}`,
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

const maxStderrBytes = 16 * 1024;

function unavailable(message: string): EngineError {
  return new EngineError("secret-unavailable", message);
}

/** It may be gone already. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}

function collect(stream: Readable, limit: number, onTooMuch: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    const room = limit - bytes;
    bytes += chunk.length;
    if (room > 0) chunks.push(chunk.subarray(0, room));
    if (bytes > limit) onTooMuch();
  });
  return () => Buffer.concat(chunks);
}
