import type { BootstrapJob } from "./bootstrap-options.ts";
import { ensureCloneSlot } from "./clone-slot.ts";
import { copyRunningServer } from "./copy-running-server.ts";

/**
 * Copies a running server of this machine into a directory that starts as its standby. The server keeps WAL from before the
 * copy on for this instance; `dropCloneSlot` ends that. Throws as `copyRunningServer`.
 */
export async function cloneServer(job: BootstrapJob<"clone">): Promise<void> {
  await copyRunningServer(job, {
    keepWal: async (connection) => ensureCloneSlot(connection, job.spec.name),
    withWal: false,
    signalFile: "standby.signal",
  });
}
