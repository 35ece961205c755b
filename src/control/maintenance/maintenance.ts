import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import type { ClusterInstances } from "../clusters/cluster-instances.ts";
import type { ClusterRepositories } from "../clusters/cluster-repositories.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { WindowTable, type ClusterWindows } from "./cluster-windows.ts";
import { IntervalWorks, type IntervalWork } from "./interval-work.ts";
import { retentionWork } from "./retention-work.ts";
import { windowsWork, windowsWorkName } from "./windows-work.ts";

export interface MaintenanceOptions {
  readonly store: ResourceStore;
  readonly repositories: ClusterRepositories;
  readonly instances: ClusterInstances;
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Called when a cluster's windows have been read: statuses that show them are old. */
  readonly onRead: (cluster: ResourceKey) => void;
  /** Works beside those of backups; they run behind them. */
  readonly more?: readonly IntervalWork[];
}

export interface Maintenance {
  readonly windows: ClusterWindows;
  /** Has a cluster's windows read again as soon as possible. */
  refresh(cluster: ResourceKey): void;
  /** Works until the signal fires; resolves when everything that was under way has ended. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** What CloudNativePG's plugin does at its interval: retention first, then the windows that are left. */
export function createMaintenance(options: MaintenanceOptions): Maintenance {
  const table = new WindowTable();
  const refresh = (cluster: ResourceKey) => works.request(cluster, windowsWorkName);
  const works: IntervalWorks = new IntervalWorks({
    ...options,
    works: [
      retentionWork({ ...options, onDeleted: refresh }),
      windowsWork({ ...options, table }),
      ...(options.more ?? []),
    ],
  });
  return { windows: table, refresh, run: async (signal) => works.run(signal) };
}
