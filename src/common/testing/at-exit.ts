/**
 * What a test run that is stopped short must still do, such as ending the processes it started. One listener for all: each of
 * many servers and programs at a time having its own looks like a leak to Node, which then warns.
 */
const pending = new Set<() => void>();

/** Runs `end`, which may not wait, when the process exits; the function given back calls that off and may be repeated. */
export function atExit(end: () => void): () => void {
  if (pending.size === 0) process.once("exit", runAll);
  pending.add(end);
  return () => {
    pending.delete(end);
    if (pending.size === 0) process.removeListener("exit", runAll);
  };
}

function runAll(): void {
  for (const end of pending) end();
}
