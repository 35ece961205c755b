import { faultPoint } from "../../common/fault-point.ts";
import { startServer } from "../../postgres/server.ts";
import { ensureApplication } from "./application.ts";
import type { BootstrapJob } from "./bootstrap-options.ts";
import { keepWalMeanwhile } from "./clone-slot.ts";
import { copyRunningServer } from "./copy-running-server.ts";
import { prepareStart } from "./private-start.ts";

/*
 * A copy that is started just so, without any signal file, would go on where its origin was: on the same timeline, with the
 * same system identifier. Then both write WAL segments of the same names and other contents, and nothing in PostgreSQL could
 * tell them apart: a standby of the one would follow the other, and a segment of the one would be taken for one of the other.
 * So the copy ends an archive recovery: PostgreSQL puts it on a timeline of its own, whose history says where it left.
 */
const endOfRecovery = {
  // There is no archive to ask, and PostgreSQL wants a command: the WAL that is needed lies in pg_wal, and "absent" ends it.
  restore_command: "exit 1",
  recovery_target_timeline: "current",
} as const;

/**
 * Makes a cluster of its own from a copy of a running one, as it is when the copying ends. Its origin only lends its files and WAL: it
 * knows nothing of the copy, and keeps nothing for it when this ends, in whatever way. An attempt that was promoted already is
 * gone on with, without its origin.
 *
 * @throws EngineError what `copyRunningServer` and starting a server throw; `postgres-failed` for a role or database that cannot
 * be made.
 */
export async function copyCluster(job: BootstrapJob<"copy">): Promise<void> {
  const { attempt, bootstrap, signal, onActivity } = job;
  if (attempt.mark.promoted !== true) {
    await copyRunningServer(job, {
      keepWal: async (connection) => keepWalMeanwhile(connection, attempt.id),
      withWal: true,
      signalFile: "recovery.signal",
    });
  }
  onActivity("starting the copy on a timeline of its own, for ourselves alone");
  const start = await prepareStart(job);
  await using server = await startServer({
    ...start,
    settings: { ...start.settings, ...endOfRecovery },
    // How long replay takes, nobody knows; that it ends before the backup's end PostgreSQL refuses.
    readyTimeoutMs: 0,
    signal,
  });
  faultPoint("bootstrap:recovery-started");
  await server.waitUntilPromoted({ signal });
  await attempt.note({ promoted: true });
  faultPoint("bootstrap:promoted");
  await ensureApplication(server.connection, bootstrap.application, signal);
  onActivity("stopping the copy");
  await server.stop("fast");
}
