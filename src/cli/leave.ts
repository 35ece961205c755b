/**
 * Ending the process although something hangs. A call on a file system that does not answer (a server gone, a disk that is
 * being lost) was given up by its time-out, but sits in libuv's thread pool, keeps the event loop alive, and even
 * `process.exit` waits for that thread for ever.
 */

/** Long enough for what ends by itself, sockets being closed for example; then only something that hangs is left. */
const graceMs = 2000;

/** The work is over and reported: ends the process soon with its exit status, unless it ends by itself before. */
export function leaveSoon(): void {
  const timer = setTimeout(() => {
    const isFlushed = process.stdout.writableLength === 0 && process.stderr.writableLength === 0;
    if (isFlushed) leaveNow(Number(process.exitCode ?? 0));
    else leaveSoon();
  }, graceMs);
  timer.unref();
}

/**
 * Ends the process with this status and waits for nothing. Replacing it by a shell that only exits is the one way that
 * takes a status with it and leaves no thread behind.
 */
export function leaveNow(status: number): never {
  if (process.execve === undefined) process.kill(process.pid, "SIGKILL");
  return process.execve?.("/bin/sh", ["sh", "-c", `exit ${status}`], {}) ?? process.exit(status);
}
