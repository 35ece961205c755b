import { z } from "zod";
import { withCondition, type Condition } from "../resources/conditions.ts";
import type { Resource } from "../resources/resource.ts";
import { toTimestamp } from "../resources/timestamp.ts";

/** The status of an ExternalSecret, with External Secrets Operator's fields and words. */

const condition: z.ZodType<Condition> = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
});

const schema = z.object({
  /** When the source was asked last with success, and the Secret was as it says. */
  refreshTime: z.string().optional(),
  /** What of the ExternalSecret that was for; see `syncedVersionOf`. */
  syncedResourceVersion: z.string().optional(),
  conditions: z.array(condition).optional(),
  binding: z.object({ name: z.string() }).optional(),
  /**
   * Ours: the Secret as it was left, undefined when none was. The operator notes a hash of the values on the Secret to see
   * that somebody changed them; a hash lets short values be guessed, and the generation says the same.
   */
  target: z.object({ uid: z.string(), generation: z.number() }).optional(),
});

export type ExternalSecretStatus = z.infer<typeof schema>;

/** What stands in the object; nothing when it is not of this form. */
export function statusOf({ status }: Resource): ExternalSecretStatus {
  const parsed = schema.safeParse(status ?? {});
  return parsed.success ? parsed.data : {};
}

/** How an attempt ended, in the operator's words. */
export const outcomes = {
  synced: { status: "True", reason: "SecretSynced", message: "secret synced" },
  retained: {
    status: "True",
    reason: "SecretSynced",
    message: "secret retained due to DeletionPolicy=Retain",
  },
  deleted: {
    status: "True",
    reason: "SecretDeleted",
    message: "secret deleted due to DeletionPolicy=Delete",
  },
  missing: {
    status: "True",
    reason: "SecretMissing",
    message: "secret will not be created due to CreationPolicy=Merge",
  },
} as const;

export type Outcome = keyof typeof outcomes;

/** After an attempt that reached what the object says. */
export function doneStatus(
  before: ExternalSecretStatus,
  outcome: Outcome,
  facts: { readonly version: string; readonly secret: Resource | undefined; readonly now: Date },
): ExternalSecretStatus {
  const { version, secret, now } = facts;
  const { name, uid, generation } = secret?.metadata ?? {};
  return {
    refreshTime: toTimestamp(now),
    syncedResourceVersion: version,
    conditions: [...withCondition(before.conditions ?? [], { type: "Ready", ...outcomes[outcome] }, now)],
    ...(name === undefined ? {} : { binding: { name } }),
    ...(uid === undefined || generation === undefined ? {} : { target: { uid, generation } }),
  };
}

/** After an attempt that failed: what was reached before stays. The message is one of the operator's, or ours. */
export function failedStatus(before: ExternalSecretStatus, message: string, now: Date): ExternalSecretStatus {
  return {
    ...before,
    conditions: [
      ...withCondition(
        before.conditions ?? [],
        { type: "Ready", status: "False", reason: "SecretSyncedError", message },
        now,
      ),
    ],
  };
}
