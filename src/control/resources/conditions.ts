import { z } from "zod";
import { toTimestamp } from "./timestamp.ts";

/** One aspect of an object's state, as Kubernetes' API conventions have it ("Typical status properties"). */
export interface Condition {
  /** `Ready`, `ContinuousArchiving`: there is one condition of each type. */
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** One word, stable, for programs. */
  readonly reason: string;
  /** For a person. */
  readonly message: string;
  /** When `status` became what it is; ISO 8601, whole seconds, UTC. */
  readonly lastTransitionTime: string;
  /** The generation of the object that the condition was found for. */
  readonly observedGeneration?: number;
}

/** Conditions as a status holds them, for whoever reads an earlier one. */
export const conditionsSchema = z.array(
  z.object({
    type: z.string(),
    status: z.enum(["True", "False", "Unknown"]),
    reason: z.string(),
    message: z.string(),
    lastTransitionTime: z.string(),
  }),
);

/** One that `withCondition` gives its time. */
export function condition(
  type: string,
  status: Condition["status"],
  reason: string,
  message: string,
): Omit<Condition, "lastTransitionTime"> {
  return { type, status, reason, message };
}

/**
 * The conditions with `next` in the place of the one of its type, or behind them when there is none. The time of the last
 * transition stays unless the status is another than before, however reason and message change.
 */
export function withCondition(
  conditions: readonly Condition[],
  next: Omit<Condition, "lastTransitionTime">,
  now: Date,
): readonly Condition[] {
  const at = conditions.findIndex(({ type }) => type === next.type);
  const before = conditions[at];
  const lastTransitionTime = before?.status === next.status ? before.lastTransitionTime : toTimestamp(now);
  const timed: Condition = { ...next, lastTransitionTime };
  return before === undefined ? [...conditions, timed] : conditions.with(at, timed);
}
