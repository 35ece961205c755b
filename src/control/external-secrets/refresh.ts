import { createHash } from "node:crypto";
import { parseGoDuration } from "../../manifest/cron-schedule.ts";
import type { ExternalSecretSpec } from "../../manifest/kinds/external-secret.ts";
import type { Again } from "../loop/reconciler.ts";
import type { Resource, ResourceMetadata } from "../resources/resource.ts";
import type { ExternalSecretStatus } from "./external-secret-status.ts";

/** When the sources of an ExternalSecret are asked again. Pure; the policies are External Secrets Operator's. */

export type RefreshDecision = { readonly kind: "refresh" } | { readonly kind: "wait"; readonly again: Again };

export interface RefreshFacts {
  readonly spec: ExternalSecretSpec;
  readonly status: ExternalSecretStatus;
  /** `syncedVersionOf` the object as it is. */
  readonly version: string;
  /** The target Secret as it is. */
  readonly existing: Resource | undefined;
  readonly now: Date;
}

export function decideRefresh(facts: RefreshFacts): RefreshDecision {
  return isDue(facts) || !isTargetAsLeft(facts)
    ? { kind: "refresh" }
    : { kind: "wait", again: nextLook(facts.spec, facts.status, facts.now) };
}

function isDue({ spec, status, version, now }: RefreshFacts): boolean {
  const { syncedResourceVersion, refreshTime } = status;
  if (syncedResourceVersion === undefined || refreshTime === undefined) return true;
  if (spec.refreshPolicy === "CreatedOnce") return false;
  if (spec.refreshPolicy === "OnChange") return syncedResourceVersion !== version;
  const intervalMs = intervalOf(spec);
  // Once, whatever becomes of the object.
  if (intervalMs <= 0) return false;
  if (syncedResourceVersion !== version) return true;
  const sinceMs = now.getTime() - Date.parse(refreshTime);
  // A time that is yet to come was noted by a clock that was wrong.
  return sinceMs < 0 || sinceMs >= intervalMs;
}

/** Whether the Secret is the one that was left there, or is missing where none was left. */
function isTargetAsLeft({ spec, status, existing }: RefreshFacts): boolean {
  const policy = spec.target?.creationPolicy ?? "Owner";
  if (policy === "Orphan" || policy === "None") return true;
  const left = status.target;
  return left?.uid === existing?.metadata.uid && left?.generation === existing?.metadata.generation;
}

function intervalOf({ refreshInterval = "1h" }: ExternalSecretSpec): number {
  return parseGoDuration(refreshInterval) ?? 0;
}

/** After a refresh, or when none is due. */
export function nextLook(spec: ExternalSecretSpec, { refreshTime }: ExternalSecretStatus, now: Date): Again {
  const isPeriodic = (spec.refreshPolicy ?? "Periodic") === "Periodic";
  const intervalMs = intervalOf(spec);
  if (!isPeriodic || intervalMs <= 0) return "never";
  const sinceMs = refreshTime === undefined ? 0 : now.getTime() - Date.parse(refreshTime);
  return { afterMs: Math.min(Math.max(intervalMs - sinceMs, shortestWaitMs), longestWaitMs) };
}

const shortestWaitMs = 1000;

/** Timers do not reach further than 24 days. */
const longestWaitMs = 24 * 3_600_000;

/** Changes with everything that people say of the object: what of it was synced is noted in the status. */
export function syncedVersionOf({
  generation,
  labels,
  annotations,
}: Pick<ResourceMetadata, "generation" | "labels" | "annotations">): string {
  const sorted = (texts: Readonly<Record<string, string>>) =>
    Object.entries(texts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([sorted(labels), sorted(annotations)]);
  return `${generation}-${createHash("sha3-224").update(text).digest("hex")}`;
}
