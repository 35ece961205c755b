import type { AgentStatus } from "../../agent/agent-status.ts";
import { isPolicyMet } from "../../agent/archive-policy.ts";
import type { InstanceStatus } from "../../instance/instance-status.ts";
import { describeFailure } from "./describe-failure.ts";

type ArchivingState = Pick<InstanceStatus, "archiving" | "archivingError" | "rescue">;

/**
 * Why PostgreSQL is not told that its WAL is archived, as the process beside a primary says; undefined while nothing speaks against
 * it. A store that fails is a trouble only when the archive policy cannot be met without it.
 */
export function archivingTrouble({ archiving, archivingError, rescue }: ArchivingState): string | undefined {
  if (archivingError !== undefined) return describeFailure(archivingError);
  if (rescue?.archivingError !== undefined) {
    return `WAL of a primary that is gone is not in the archive yet: ${rescue.archivingError}`;
  }
  if (archiving === undefined) return undefined;
  const { lastArchived, lastFailure, refused } = archiving;
  const failing = isMetByOthers(archiving) ? undefined : failingStores(archiving);
  const hasFailedLast =
    lastFailure?.error !== undefined && (lastArchived === undefined || lastFailure.at > lastArchived.at);
  return refused[0]?.message ?? failing ?? (hasFailedLast ? lastFailure.error?.message : undefined);
}

/** The stores that do not take WAL just now, with what they say, for a sentence; undefined when all of them work. */
export function failingStores({ repositories }: Pick<AgentStatus, "repositories">): string | undefined {
  const reasons = repositories
    .filter(({ state }) => state === "failing")
    .map(({ name, error }) => {
      const reason = error?.message ?? "it fails";
      return repositories.length === 1 ? reason : `store "${name}": ${reason}`;
    });
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

/**
 * Whether nothing but some of several stores is in the way, and another one takes WAL: then that one has all that a base backup
 * needs, whatever the policy keeps PostgreSQL waiting for.
 */
export function isTakenBySomeStore({ archiving, archivingError }: ArchivingState): boolean {
  if (archiving === undefined || archivingError !== undefined || archiving.refused.length > 0) return false;
  const states = new Set(archiving.repositories.map(({ state }) => state));
  return states.has("failing") && states.has("ok");
}

function isMetByOthers({ policy, repositories }: Pick<AgentStatus, "policy" | "repositories">): boolean {
  const names = repositories.map(({ name }) => name);
  const working = repositories.filter(({ state }) => state === "ok");
  return isPolicyMet(policy, names, new Set(working.map(({ name }) => name)));
}
