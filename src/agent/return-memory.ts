import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Collects garbage once. V8 collects when memory is asked for, so a process that falls idle after a burst would keep tens
 * of MiB of dead buffers for hours; whoever runs beside PostgreSQL should not.
 */
export function returnMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
}
