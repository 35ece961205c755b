import { formatLsn, parseLsn } from "../../postgres/lsn.ts";
import { positionOf, type ClusterAction, type InstanceFacts } from "./cluster-facts.ts";
import type { TakeoverProgress } from "./cluster-status.ts";
import type { DecisionContext } from "./decision-parts.ts";

/** How long nothing may move before the standby takes over with what it has. */
const rescuePatienceMs = 60_000;
/**
 * The same where its WAL cannot be read: that may be a moment's trouble, and usually is not. Meanwhile the standby asks the archive, some
 * five seconds after it has what it has itself.
 */
const unreadablePatienceMs = 15_000;

export type RescueStep =
  | {
      readonly kind: "wait";
      readonly phaseReason: string;
      readonly takeover: TakeoverProgress;
      readonly actions: readonly ClusterAction[];
    }
  /** In a sentence: what the new primary has of what the old one wrote. */
  | { readonly kind: "over"; readonly outcome: string };

/**
 * What a dead primary had written and not sent is given to the standby that takes over: it lies on the same machine, and without it
 * rows that were acknowledged would be lost. The standby's own process collects it (`rescued-wal.ts`), and replays it. What
 * cannot be had is not waited for.
 */
export function rescueStep({ facts, primary, decided }: DecisionContext, target: InstanceFacts): RescueStep {
  const key = `${primary.name} down since ${decided.primaryDownSince ?? ""}`;
  const present = target.status?.rescue;
  const rescue = present?.key === key ? present : undefined;
  const replayed = positionOf(target);
  const end = rescue?.endLsn === undefined ? undefined : parseLsn(rescue.endLsn);
  const names = { old: primary.name, now: target.name };
  if (rescue?.state === "done" && (end === undefined || replayed >= end)) {
    const upTo = formatLsn(end ?? replayed);
    return { kind: "over", outcome: `${names.now} has all that ${names.old} wrote, up to ${upTo}` };
  }
  const mark = `${rescue?.state === "done" ? "replaying" : "collecting"} ${formatLsn(replayed)}`;
  const before = facts.remembered.takeover;
  const takeover = before?.mark === mark ? before : { mark, since: facts.now.toISOString() };
  const patienceMs = rescue?.state === "failed" ? unreadablePatienceMs : rescuePatienceMs;
  if (facts.now.getTime() - Date.parse(takeover.since) >= patienceMs) {
    return { kind: "over", outcome: lossOf(names, rescue, replayed, facts.remembered.primaryLsn) };
  }
  const phaseReason =
    rescue?.state === "done"
      ? `${names.now} replays what ${names.old} had written and not sent, up to ${rescue.endLsn}`
      : `Collecting what ${names.old} had written and not sent`;
  const actions: ClusterAction[] =
    rescue === undefined || rescue.state === "failed"
      ? [
          {
            kind: "ask",
            name: target.name,
            request: { op: "rescue", key, dataDirectory: primary.dataDirectory },
          },
        ]
      : [];
  return { kind: "wait", phaseReason, takeover, actions };
}

function lossOf(
  names: { readonly old: string; readonly now: string },
  rescue: { readonly endLsn?: string | undefined; readonly message?: string | undefined } | undefined,
  replayed: ReturnType<typeof positionOf>,
  lastSeen: string | undefined,
): string {
  const from = formatLsn(replayed);
  if (rescue?.endLsn !== undefined) {
    return `${names.now} could not replay all of its WAL: what ${names.old} wrote from ${from} to ${rescue.endLsn} is only in its data`;
  }
  const why = rescue?.message ?? "nobody has looked into it in time";
  const seen = lastSeen === undefined ? "" : `; it was at ${lastSeen} when it last said so`;
  return `Its WAL could not be read (${why}): what ${names.old} wrote after ${from} is lost${seen}`;
}
