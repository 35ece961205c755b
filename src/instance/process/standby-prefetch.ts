import { requireLocalSystem } from "../../agent/local-system.ts";
import { startPrefetcher, type Prefetcher } from "../../agent/prefetcher.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import { closeRepositories, openRepositories } from "../../repository/open-repositories.ts";
import { parseServerName } from "../../repository/server-name.ts";
import type { ArchiveSpec } from "../archive-spec.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceSpec } from "../instance-spec.ts";
import { KeptOrder } from "./kept-order.ts";

export interface StandbyPrefetchOptions {
  readonly folder: InstanceFolder;
  /** The command line that fetches a file when nothing is fetched ahead. */
  readonly fetchCommand: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

type Source = Pick<ArchiveSpec, "server" | "repositories">;

/** After so long without a question, what was fetched ahead is given up: the standby streams. */
const idleLimitMs = 30_000;

/**
 * Fetches WAL ahead for a standby that has it from the archive for a while, because its primary does not keep it any more
 * (`standby-restore.ts`). Runs beside a standby whose cluster archives; costs next to nothing until it is asked.
 */
export class StandbyPrefetch {
  readonly #kept: KeptOrder<Source>;

  constructor({ folder, fetchCommand, clock, log }: StandbyPrefetchOptions) {
    this.#kept = new KeptOrder<Source>({
      name: "fetching ahead",
      onFailure: ({ message }) => log.warn("cannot fetch WAL ahead for this standby", { error: message }),
      clock,
      serve: async (source, signal, begun) => {
        const { systemIdentifier, walSegmentSizeBytes } = await requireLocalSystem(folder.data);
        const repositories = await openRepositories({
          settings: source.repositories,
          server: parseServerName(source.server),
          log,
          access: { kind: "read", allowMissing: true },
          signal,
        });
        try {
          await using prefetcher = await startPrefetcher({
            root: prefetchRootOf(folder.data),
            repositories,
            walSegmentSizeBytes,
            expectedSystemIdentifier: systemIdentifier,
            fetchCommand,
            // The server may ask while another process takes over here.
            leaveScript: true,
            // It asks again by itself, and its primary in between.
            patienceMs: 0,
            log,
          });
          begun();
          await untilIdle(prefetcher, clock, signal);
        } finally {
          await closeRepositories(repositories);
        }
      },
    });
  }

  /** Begins for a standby whose cluster archives, ends for anybody else. */
  follow({ role, archive }: InstanceSpec): void {
    const isWanted = role.kind === "standby" && archive !== undefined;
    this.#kept.follow(isWanted ? { server: archive.server, repositories: archive.repositories } : undefined);
  }

  async close(): Promise<void> {
    await this.#kept.close();
  }
}

/** Until it was used and is used no more, or the signal fires. */
async function untilIdle(prefetcher: Prefetcher, clock: Clock, signal: AbortSignal): Promise<void> {
  let idleMs = 0;
  for (let wasUsed = false; !(wasUsed && idleMs >= idleLimitMs);) {
    const before = idleMs;
    await clock.sleep(idleLimitMs / 6, signal).catch(() => undefined);
    if (signal.aborted) return;
    idleMs = prefetcher.idleMs();
    wasUsed ||= idleMs < before;
  }
}
