import type { Clock } from "../../common/clock.ts";
import type { Log } from "../../common/log.ts";
import type { ServerBinaries } from "../../postgres/server-binaries.ts";
import type { ServerUser } from "../../postgres/server-process.ts";
import type { InstanceFolder } from "../instance-folder.ts";
import type { InstanceBootstrap, InstanceSpec } from "../instance-spec.ts";
import type { Attempt } from "./attempt.ts";

export interface BootstrapOptions {
  readonly folder: InstanceFolder;
  readonly spec: InstanceSpec;
  /** Of `spec.major`. */
  readonly binaries: ServerBinaries;
  /** The command line that runs this program: node and its entry file. PostgreSQL's own commands run it. */
  readonly program: readonly string[];
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told what is being done, in words for a person; several times a second at most. */
  readonly onActivity: (activity: string) => void;
  /** Told how a recovery is going to be done, before it is. */
  readonly onPlan?: ((plan: PlannedRecovery) => void) | undefined;
}

export interface PlannedRecovery {
  /** For a person: target, backup, timelines, WAL, doubts. */
  readonly plan: string[];
  readonly backupId: string;
}

/** One way to make a data directory, under way. */
export interface BootstrapJob<Kind extends InstanceBootstrap["kind"]> extends BootstrapOptions {
  readonly bootstrap: Extract<InstanceBootstrap, { readonly kind: Kind }>;
  readonly attempt: Attempt;
  /** Whom the files shall belong to, when we are root. */
  readonly user: ServerUser | undefined;
}
