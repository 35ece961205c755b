import { describePlan } from "../restore/plan-text.ts";
import type { RestorePlanSummary } from "../restore/plan-summary.ts";
import { formatFacts } from "./output.ts";

/** A restore plan for people. */
export function formatRestorePlan(plan: RestorePlanSummary): string {
  return formatFacts(describePlan(plan));
}
