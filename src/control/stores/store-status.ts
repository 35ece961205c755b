import { z } from "zod";
import type { RepositoryWindow } from "../maintenance/cluster-windows.ts";
import { conditionsSchema, withCondition, type Condition } from "../resources/conditions.ts";
import { toTimestamp } from "../resources/timestamp.ts";
import type { StoreUser } from "./store-users.ts";

/** One entry of `status.serverRecoveryWindow` (spec: section 3). */
const recoveryWindow = z.object({
  firstRecoverabilityPoint: z.string().optional(),
  lastSuccessfulBackupTime: z.string().optional(),
  lastFailedBackupTime: z.string().optional(),
});
export type ServerRecoveryWindow = z.infer<typeof recoveryWindow>;

const schema = z.object({
  serverRecoveryWindow: z.record(z.string(), recoveryWindow).optional(),
  conditions: conditionsSchema.optional(),
});

export interface StoreFacts {
  readonly before: unknown;
  readonly generation: number;
  readonly users: readonly StoreUser[];
  /** What is missing or of no use for opening it, each in a sentence that names it. */
  readonly problems: readonly string[];
  /** Of the clusters that write to it, as far as they have been read. */
  readonly windows: readonly RepositoryWindow[];
  /** By server name: the newest time at which a Backup into this store failed. */
  readonly failures: ReadonlyMap<string, string>;
  readonly now: Date;
}

/**
 * The status of an ObjectStore: CloudNativePG's recovery windows, and conditions of ours. What is not known now stays as it
 * was: a store that cannot be read just now, or a server whose cluster was deleted, has lost nothing by that.
 */
export function storeStatus(facts: StoreFacts): Readonly<Record<string, unknown>> {
  const parsed = schema.safeParse(facts.before ?? {});
  const before = parsed.success ? parsed.data : {};
  const windows = recoveryWindows(facts, before.serverRecoveryWindow ?? {});
  const conditions = [readyCondition(facts), usedCondition(facts)].reduce<readonly Condition[]>(
    (all, next) => withCondition(all, { ...next, observedGeneration: facts.generation }, facts.now),
    before.conditions ?? [],
  );
  return {
    ...(Object.keys(windows).length === 0 ? {} : { serverRecoveryWindow: windows }),
    conditions,
  };
}

function recoveryWindows(
  { windows, failures }: StoreFacts,
  before: Readonly<Record<string, ServerRecoveryWindow>>,
): Readonly<Record<string, ServerRecoveryWindow>> {
  const all: Record<string, ServerRecoveryWindow> = { ...before };
  for (const { serverName, readAt, ...window } of windows) {
    if (readAt === undefined) continue;
    all[serverName] = {
      firstRecoverabilityPoint: text(window.firstRecoverabilityPoint),
      lastSuccessfulBackupTime: text(window.lastSuccessfulBackupTime),
      lastFailedBackupTime: before[serverName]?.lastFailedBackupTime,
    };
  }
  for (const [serverName, time] of failures) {
    const known = all[serverName]?.lastFailedBackupTime;
    if (known === undefined || known < time) {
      all[serverName] = { ...all[serverName], lastFailedBackupTime: time };
    }
  }
  return all;
}

type NewCondition = Omit<Condition, "lastTransitionTime">;

function readyCondition({ problems, windows }: StoreFacts): NewCondition {
  const type = "Ready";
  if (problems.length > 0) {
    return { type, status: "False", reason: "Incomplete", message: problems.join("; ") };
  }
  const error = windows.find((window) => window.error !== undefined)?.error;
  if (error !== undefined) return { type, status: "False", reason: "StoreFailing", message: error };
  const message = windows.some(({ readAt }) => readAt !== undefined)
    ? "The store can be read"
    : "Everything that it refers to is there";
  return { type, status: "True", reason: "Ready", message };
}

function usedCondition({ users }: StoreFacts): NewCondition {
  const type = "InUse";
  const destinations = users.filter((user) => user.as === "destination");
  if (destinations.length > 0) {
    return { type, status: "True", reason: "Destination", message: `Written to by ${namesOf(destinations)}` };
  }
  if (users.length > 0) {
    return { type, status: "True", reason: "Source", message: `Only read from, by ${namesOf(users)}` };
  }
  const message = "No cluster or server uses it: nothing is written to it, and no retention applies";
  return { type, status: "False", reason: "NoCluster", message };
}

function namesOf(users: readonly StoreUser[]): string {
  return [...new Set(users.map(({ user }) => user.metadata.name))].join(", ");
}

function text(time: Date | undefined): string | undefined {
  return time === undefined ? undefined : toTimestamp(time);
}
