/**
 * Labelled places where a test may kill the process as a power cut would, to prove that what was promised before them
 * holds. For tests only: nothing happens unless the environment variable TIDEMARK_FAULT_POINT names the place.
 */

const chosen = process.env["TIDEMARK_FAULT_POINT"];

/** Ends the process with SIGKILL, without any cleaning up, when `name` (`backup:after-start`) was chosen. */
export function faultPoint(name: string): void {
  if (chosen === name) process.kill(process.pid, "SIGKILL");
}
