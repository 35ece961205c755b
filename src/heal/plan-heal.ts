import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import type { BackupId } from "../repository/backup-id.ts";
import type { CatalogueEntry, FinishedEntry } from "../repository/catalogue.ts";
import type { RepositoryIdentity } from "../repository/identity.ts";
import type { Repository } from "../repository/repository.ts";
import { judgeBackup, type BackupState } from "./backup-state.ts";
import type { BackupStep, HealNote, HealPlan, HealStep, IdentityStep, WalStep } from "./heal-plan.ts";
import type { Damage, HealInventory } from "./inventory.ts";
import { planBackup } from "./plan-backup.ts";
import { planWal } from "./plan-wal.ts";
import type { HeldBackup } from "./wanted-wal.ts";

/**
 * Whether a repository's retention would have removed a backup that it lacks; then it is not missing. `catalogue`: what the
 * repository has; `lacking`: all that it lacks, the candidate among it.
 */
export type Expires = (
  repository: Repository,
  candidate: FinishedEntry,
  given: { readonly catalogue: readonly CatalogueEntry[]; readonly lacking: readonly CatalogueEntry[] },
) => boolean;

export interface HealFacts {
  /** Of one PostgreSQL system, in the order in which they are to be asked. */
  readonly inventories: readonly HealInventory[];
  readonly system: SystemIdentifier;
  readonly walSegmentSizeBytes: number | undefined;
  /** Names of the repositories that are to be put right. */
  readonly targets: ReadonlySet<string>;
  /** What was found besides what the inventories show. */
  readonly damages: readonly Damage[];
  readonly expires: Expires;
  /** Which of the missing backups are wanted. Default: all. */
  readonly isWanted?: (id: BackupId) => boolean;
  readonly now: Date;
  /** How old WAL must be in one repository to count as missing in another. */
  readonly settledMs: number;
}

/**
 * What has to be copied so that each target has what another repository has, and why: pure. A backup comes behind the WAL that
 * it needs, the newest backup first, and the rest of the WAL in the end.
 */
export function planHeal(facts: HealFacts): HealPlan {
  const plans = facts.inventories
    .filter(({ repository }) => facts.targets.has(repository.name))
    .map((target) => planTarget(target, facts));
  return { steps: plans.flatMap(({ steps }) => steps), notes: plans.flatMap(({ notes }) => notes) };
}

function planTarget(target: HealInventory, facts: HealFacts): HealPlan {
  const others = facts.inventories.filter((other) => other !== target);
  const damages = [...facts.damages, ...facts.inventories.flatMap((inventory) => inventory.damages)];
  const chosen = chooseBackups(target, others, { ...facts, damages });
  const wal = planWal({
    target,
    others,
    damages,
    held: [...heldBy(target), ...chosen.steps.map(({ entry }) => entry)],
    needed: new Set(chosen.steps.flatMap(({ step }) => step.needs)),
    walSegmentSizeBytes: facts.walSegmentSizeBytes,
    settledBefore: new Date(facts.now.getTime() - facts.settledMs),
  });
  const notes = [...chosen.notes, ...wal.notes];
  const byName = new Map(wal.steps.map((step) => [step.file.name, step]));
  const steps: HealStep[] = [
    ...identitySteps(target, facts),
    ...wal.steps.filter(({ file }) => file.kind === "history"),
  ];
  const planned = new Set<HealStep>(steps);
  const add = (step: WalStep | BackupStep): void => {
    if (planned.has(step)) return;
    planned.add(step);
    steps.push(step);
  };
  for (const { step } of chosen.steps) {
    const absent = step.needs.find((name) => !target.wal.has(name) && !byName.has(name));
    if (absent !== undefined && step.mode === "missing") {
      const reason = `its WAL segment "${absent}" is in no repository`;
      notes.push({ repository: target.repository.name, what: `backup ${step.id}`, reason });
      continue;
    }
    for (const name of step.needs) {
      const own = byName.get(name);
      if (own !== undefined) add(own);
    }
    add(step);
  }
  for (const step of wal.steps) add(step);
  return { steps, notes };
}

interface ChosenBackup {
  readonly step: BackupStep;
  readonly entry: FinishedEntry;
}

/** Newest first: should it be stopped, the most useful one is there. */
function chooseBackups(
  target: HealInventory,
  others: readonly HealInventory[],
  facts: HealFacts,
): { readonly steps: readonly ChosenBackup[]; readonly notes: readonly HealNote[] } {
  const { damages, now, expires, isWanted = () => true } = facts;
  const ids = new Set([target, ...others].flatMap(({ backups }) => [...backups.keys()]));
  const steps: ChosenBackup[] = [];
  const notes: HealNote[] = [];
  const catalogue = [...target.backups.values()].map(({ entry }) => entry);
  const stateIn = (inventory: HealInventory, id: BackupId): BackupState[] => {
    const backup = inventory.backups.get(id);
    return backup === undefined ? [] : [judgeBackup(inventory, backup, damages)];
  };
  for (const id of [...ids].sort().reverse()) {
    const [own] = stateIn(target, id);
    const elsewhere = others.flatMap((other) => stateIn(other, id));
    const decision = planBackup({ target: target.repository, own, others: elsewhere, now });
    if (decision === undefined) continue;
    const what = `backup ${id}`;
    const repository = target.repository.name;
    if (decision.kind === "left") {
      notes.push({ repository, what, reason: decision.reason });
      continue;
    }
    const { step } = decision;
    const entry = own?.entry ?? elsewhere.find((state) => state.entry !== undefined)?.entry;
    if (entry === undefined || (step.mode === "missing" && !isWanted(id))) continue;
    steps.push({ step, entry });
  }
  const lacking = steps.filter(({ step }) => step.mode === "missing").map(({ entry }) => entry);
  const isExpired = ({ step, entry }: ChosenBackup): boolean =>
    step.mode === "missing" && expires(target.repository, entry, { catalogue, lacking });
  for (const { step } of steps.filter(isExpired)) {
    const reason = "it is older than what this repository keeps";
    notes.push({ repository: target.repository.name, what: `backup ${step.id}`, reason });
  }
  return { steps: steps.filter((chosen) => !isExpired(chosen)), notes };
}

function heldBy({ backups }: HealInventory): HeldBackup[] {
  return [...backups.values()].flatMap(({ entry }) => (entry.kind === "done" ? [entry] : []));
}

/** A damaged identity is written anew from what the repository holds. */
function identitySteps(
  { repository, identity, wal }: HealInventory,
  { system, walSegmentSizeBytes }: HealFacts,
): IdentityStep[] {
  if (walSegmentSizeBytes === undefined) return [];
  // What is empty is claimed with the first file that is written to it.
  if (identity === undefined && wal.size === 0) return [];
  const isOurs = typeof identity === "object" && identity.systemIdentifier === system;
  if (isOurs && identity.walSegmentSizeBytes === walSegmentSizeBytes) return [];
  const walCodecs = [...new Set([...wal.values()].flat().map(({ codec }) => codec))];
  const reason =
    identity === undefined
      ? "it is missing"
      : typeof identity === "string"
        ? identity
        : "it names another system than the backups in the repository do";
  const right: RepositoryIdentity = { systemIdentifier: system, walSegmentSizeBytes, walCodecs };
  return [{ kind: "identity", target: repository, identity: right, reason, bytes: 0 }];
}

/** Where nobody knows the retention: what is older than all that the repository has was removed, it seems. */
export const olderThanAll: Expires = (_repository, { info }, { catalogue }) => {
  const ends = catalogue.flatMap((entry) => (entry.kind === "done" ? [entry.info.endTime.getTime()] : []));
  return ends.length > 0 && ends.every((end) => info.endTime.getTime() < end);
};
