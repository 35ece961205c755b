import type { ClusterDecision, ClusterFacts, InstanceFacts } from "./cluster-facts.ts";
import { isPrimaryServer, isRunning } from "./cluster-facts.ts";
import { archivingTrouble } from "./archiving-trouble.ts";
import { phases, type LostStandby } from "./cluster-status.ts";
import { standbysOf, type DecisionContext } from "./decision-parts.ts";
import { conditionOf, hasHistoryOf } from "./standby-condition.ts";

/** What is remembered of the standbys that cannot follow: from what was remembered, and what is. */
export function lostStandbys(facts: ClusterFacts, primary: InstanceFacts): readonly LostStandby[] {
  return standbysOf(facts, primary).flatMap((standby) => {
    if (conditionOf(standby, primary).kind !== "lost") return [];
    const { name, status } = standby;
    const lsn = status?.postgres?.lsn;
    const before = facts.remembered.lostStandbys.find((item) => item.name === name);
    return [
      before?.lsn === lsn && before !== undefined ? before : { name, since: facts.now.toISOString(), lsn },
    ];
  });
}

/** So many copies in a row that are lost as well show that copying is no cure; each was given twice the time of the one before. */
const mostRemakes = 4;

/**
 * A standby that has been unable to follow for long enough is given up, and another one is copied from the primary in its place.
 * Not before the primary is well and its WAL reaches the archive: until then the standby may be all that there is.
 *
 * Its data are removed only if the primary certainly has all of them. What went its own way may hold rows that nobody else has,
 * and what cannot be read cannot be judged: both are put aside.
 */
export function remakeStandby(context: DecisionContext): ClusterDecision | undefined {
  const { facts, primary, decided } = context;
  const { view, instances, now } = facts;
  if (view.remakeStandbysAfterMs === undefined || instances.length > view.instances) return undefined;
  if (decided.remakes >= mostRemakes) return undefined;
  if (!isRunning(primary) || !isPrimaryServer(primary)) return undefined;
  const patienceMs = view.remakeStandbysAfterMs * 2 ** decided.remakes;
  const due = decided.lostStandbys.find(({ since }) => now.getTime() - Date.parse(since) >= patienceMs);
  const standby = instances.find(({ name }) => name === due?.name);
  if (standby === undefined || !isArchived(primary)) return undefined;
  const condition = conditionOf(standby, primary);
  if (condition.kind !== "lost") return undefined;
  const isContained = isRunning(standby) && hasHistoryOf(standby, primary.history) === true;
  const fate = isContained
    ? `its data are removed, since ${primary.name} has all of them`
    : `its data are kept aside, since they may hold what ${primary.name} does not have`;
  return {
    ...decided,
    phase: phases.creatingReplica,
    phaseReason: `Replacing ${standby.name}, which cannot follow ${primary.name} any more`,
    remakes: decided.remakes + 1,
    lostStandbys: decided.lostStandbys.filter(({ name }) => name !== standby.name),
    actions: [{ kind: "remove", name: standby.name, keepAside: !isContained }],
    events: [
      {
        type: "Warning",
        reason: "ReplacingStandby",
        message: `${standby.name} cannot follow ${primary.name} any more (${condition.reason}): a new copy takes its place; ${fate}`,
      },
    ],
  };
}

/** What a primary without an archive has, nobody else has to have. */
function isArchived({ spec, status }: InstanceFacts): boolean {
  if (spec?.archive === undefined) return true;
  return status?.archiving !== undefined && archivingTrouble(status) === undefined;
}
