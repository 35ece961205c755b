import type { InstanceBootstrap, InstanceSpec } from "../../instance/instance-spec.ts";
import type { InstanceRequest, InstanceStatus } from "../../instance/instance-status.ts";
import { parseLsn, type Lsn } from "../../postgres/lsn.ts";
import type { TimelineHistory } from "../../postgres/timeline-history.ts";
import type { LostStandby, RememberedStatus, TakeoverProgress } from "./cluster-status.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { InstanceRole, WantedSpec } from "./instance-specs.ts";
import type { OpenableArchive } from "./openable-archive.ts";
import type { Resolution } from "./store-resolution.ts";

/** All that a decision about a cluster is made from. */
export interface ClusterFacts {
  readonly view: ClusterView;
  readonly remembered: RememberedStatus;
  /** Undefined: it archives nowhere. */
  readonly archive: Resolution<OpenableArchive | undefined>;
  /** How the first instance comes to be. Asked only while there is none, or none that has got that far (`isUnmade`). */
  readonly bootstrap:
    | Resolution<{
        readonly bootstrap: InstanceBootstrap;
        readonly major: number;
        readonly binDirectory: string | undefined;
      }>
    | { readonly kind: "waiting"; readonly reason: string };
  /** In the order of their numbers. */
  readonly instances: readonly InstanceFacts[];
  readonly now: Date;
}

export interface InstanceFacts {
  readonly name: string;
  readonly number: number;
  /** Undefined for a folder in which nothing has been written yet, or nothing that can be read. */
  readonly spec: InstanceSpec | undefined;
  /** Its data directory. */
  readonly dataDirectory: string;
  /** What its process says; undefined while it does not answer. */
  readonly status: InstanceStatus | undefined;
  /** Whether its process lives, and whether a server runs on its data directory. */
  readonly isProcessAlive: boolean;
  readonly isServerAlive: boolean;
  /** Where its WAL ended when it was shut down cleanly; undefined while it runs, and when it did not end so. */
  readonly shutDownAtLsn: Lsn | undefined;
  /** Of the timeline that its server is on; undefined while it says nothing, and where it cannot be read. */
  readonly history: TimelineHistory | undefined;
}

/** What is done about it; each can be repeated. */
export type ClusterAction =
  | {
      readonly kind: "create";
      readonly name: string;
      readonly role: InstanceRole;
      readonly bootstrap: InstanceBootstrap;
      readonly major: number;
      readonly binDirectory: string | undefined;
    }
  | {
      readonly kind: "write-spec";
      readonly name: string;
      readonly spec: WantedSpec;
      readonly version: number;
    }
  /** Gives it another port: somebody else has taken its own. */
  | { readonly kind: "move"; readonly name: string }
  | { readonly kind: "spawn"; readonly name: string }
  | { readonly kind: "ask"; readonly name: string; readonly request: InstanceRequest }
  /** Makes sure that neither its process nor its server runs any more. */
  | { readonly kind: "kill"; readonly name: string }
  /** Ends it and removes its folder; `keepAside` keeps the folder under another name. */
  | { readonly kind: "remove"; readonly name: string; readonly keepAside: boolean };

export interface ClusterEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface ClusterDecision {
  readonly actions: readonly ClusterAction[];
  readonly events: readonly ClusterEvent[];
  readonly phase: string;
  readonly phaseReason: string | undefined;
  readonly currentPrimary: string | undefined;
  readonly targetPrimary: string | undefined;
  readonly latestGeneratedNode: number;
  readonly primaryDownSince: string | undefined;
  readonly takeover: TakeoverProgress | undefined;
  readonly lostStandbys: readonly LostStandby[];
  /** Copies that were made for standbys that could not follow, since the cluster was last healthy. */
  readonly remakes: number;
  readonly afterMs: number;
}

/** Whether there are no data of it yet, and what was tried has failed: only then may it be tried in another way. */
export function isUnmade({ status }: InstanceFacts): boolean {
  return status?.phase === "failed" && status.bootstrapped === false;
}

/** Whether its server accepts connections, as its process says. */
export function isRunning({ status }: InstanceFacts): boolean {
  return status?.phase === "running" && status.postgres !== undefined;
}

export function isPrimaryServer({ status }: InstanceFacts): boolean {
  return status?.postgres?.role === "primary";
}

/** Where its server is: written on a primary, replayed on a standby; 0 while it says nothing. */
export function positionOf({ status }: Pick<InstanceFacts, "status">): Lsn {
  return parseLsn(status?.postgres?.lsn ?? "0/0");
}

/** What it has durably, replayed or not. */
export function receivedOf({ status }: Pick<InstanceFacts, "status">): Lsn {
  return parseLsn(status?.postgres?.receivedLsn ?? status?.postgres?.lsn ?? "0/0");
}
