import { removePrefetchFolder } from "../../agent/prefetch-folder.ts";
import { startPrefetcher } from "../../agent/prefetcher.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { fileError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import type { RecoveryAction } from "../../postgres/recovery-settings.ts";
import { removeRecoverySettings } from "../../postgres/recovery-settings-file.ts";
import type { StartOptions } from "../../postgres/server.ts";
import type { Repository } from "../../repository/repository.ts";
import type { RestorePlan } from "../../restore/plan-restore.ts";
import { startAndVerify, type VerifiedRecovery } from "../../restore/start-and-verify.ts";

/**
 * Starts a restored server, feeds it with WAL that is fetched ahead, and makes sure that it ends at its target. What the
 * restore command was needed for is gone afterwards, if the server was promoted: a later crash of it must not look into the
 * archive again. The caller stops the server, or releases it.
 *
 * @throws EngineError what `startAndVerify` throws, after which no server runs, and the recovery can be gone on with.
 */
export async function recoverToTarget(options: {
  readonly plan: RestorePlan;
  /** Asked for WAL in this order. */
  readonly repositories: readonly Repository[];
  readonly start: Omit<StartOptions, "readyTimeoutMs" | "signal">;
  readonly action: RecoveryAction;
  /** The command line that fetches a WAL file without us; the file's name and destination are added. */
  readonly fetchCommand: readonly string[];
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<VerifiedRecovery> {
  const { plan, repositories, start, action, fetchCommand, log, signal } = options;
  const { info } = plan.recovery.backup;
  const prefetchRoot = prefetchRootOf(start.dataDirectory);
  const verified = await (async () => {
    await using _prefetcher = await startPrefetcher({
      root: prefetchRoot,
      repositories,
      walSegmentSizeBytes: info.walSegmentSizeBytes,
      ...(info.systemIdentifier === undefined ? {} : { expectedSystemIdentifier: info.systemIdentifier }),
      fetchCommand,
      // A server that pauses or stops at its target, or is stopped before, goes on with it when it is started again.
      leaveScript: true,
      log,
    });
    // Awaited here: the prefetcher must live until recovery is over.
    return await startAndVerify({ plan, start, action, log, signal });
  })();
  if (action !== "promote") return verified;
  try {
    await removeRecoverySettings(start.dataDirectory);
    await removePrefetchFolder(prefetchRoot);
    return verified;
  } catch (error) {
    await verified.server?.stop("immediate");
    throw fileError("remove", prefetchRoot, error);
  }
}
