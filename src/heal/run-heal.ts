import type { Clock } from "../common/clock.ts";
import type { Log } from "../common/log.ts";
import type { SystemIdentifier } from "../postgres/system-identifier.ts";
import { backupPrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import type { RepositoryTrouble } from "../repository/several-repositories.ts";
import { carryOut, type DoneStep, type FailedStep, type HealProgress } from "./carry-out.ts";
import { checkData } from "./check-data.ts";
import { gatherInventories, requireOneSystem, type GatheredInventories } from "./gather-inventories.ts";
import type { HealNote, HealPlan, HealStep } from "./heal-plan.ts";
import type { Damage } from "./inventory.ts";
import { olderThanAll, planHeal, type Expires, type HealFacts } from "./plan-heal.ts";

export interface HealOptions {
  /** Of one server, in the order in which they are to be asked. */
  readonly repositories: readonly Repository[];
  /** Names of those that are to be put right. Default: all. */
  readonly targets?: ReadonlySet<string>;
  /** The system where it is known; others are left out. */
  readonly system?: SystemIdentifier;
  /** Read every object to find damage that does not show otherwise. */
  readonly checkData?: boolean;
  /** Default: what is older than everything that a repository has is not missing there. */
  readonly expires?: Expires;
  readonly isWanted?: HealFacts["isWanted"];
  /** How old WAL must be to count as missing elsewhere. Default 60 s: until then its archiver is at it. */
  readonly settledMs?: number;
  /** Repositories of different systems are a mistake, not something to leave out. */
  readonly mustAgree?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly onProgress?: ((what: "checking" | "copying", progress: HealProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A plan, and what it was made from. */
export interface PlannedHeal {
  readonly plan: HealPlan;
  readonly gathered: GatheredInventories;
  readonly damages: readonly Damage[];
}

/** What was done. Nothing is left to do when `failed` and `notes` are empty. */
export interface HealResult {
  readonly done: readonly DoneStep[];
  readonly failed: readonly FailedStep[];
  readonly notes: readonly HealNote[];
  readonly unread: readonly RepositoryTrouble[];
}

const defaultSettledMs = 60_000;

function concerns(step: HealStep, { repository, key }: Damage): boolean {
  if (step.target.name !== repository) return false;
  if (step.kind === "wal") return step.damaged.some((object) => object.key === key);
  return step.kind === "backup" && key.startsWith(backupPrefix(step.target.server, step.id));
}

/** A source that turned out to be damaged is put right in a further round; it then needs no third one. */
const maxRounds = 3;

/** Finds out what is missing or damaged where. Writes nothing. Throws as `gatherInventories`; `system-mismatch` with `mustAgree`. */
export async function planRepositories(
  options: HealOptions,
  known: readonly Damage[] = [],
): Promise<PlannedHeal> {
  const { repositories, signal, system: expected, clock } = options;
  const gathered = await gatherInventories(repositories, {
    ...(expected === undefined ? {} : { expected }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (options.mustAgree === true) requireOneSystem(gathered);
  const { inventories, system, walSegmentSizeBytes } = gathered;
  if (system === undefined) return { plan: { steps: [], notes: [] }, gathered, damages: known };
  const onProgress = options.onProgress;
  const found =
    options.checkData === true && known.length === 0
      ? await checkData(inventories, {
          systemIdentifier: system,
          walSegmentSizeBytes,
          signal,
          ...(onProgress === undefined
            ? {}
            : { onProgress: (progress: HealProgress) => onProgress("checking", progress) }),
        })
      : [];
  const damages = [...known, ...found];
  const plan = planHeal({
    inventories,
    system,
    walSegmentSizeBytes,
    damages,
    targets: options.targets ?? new Set(repositories.map(({ name }) => name)),
    expires: options.expires ?? olderThanAll,
    ...(options.isWanted === undefined ? {} : { isWanted: options.isWanted }),
    now: clock.now(),
    settledMs: options.settledMs ?? defaultSettledMs,
  });
  return { plan, gathered, damages };
}

/**
 * Carries out what was planned, and plans again when a source turned out to be damaged itself. Safe to stop and to repeat at any
 * moment. Throws `aborted`; what fails otherwise is in the result.
 */
export async function healRepositories(options: HealOptions, planned: PlannedHeal): Promise<HealResult> {
  const { log, signal, onProgress } = options;
  const done: DoneStep[] = [];
  let { plan, damages } = planned;
  const { gathered } = planned;
  const { system, walSegmentSizeBytes, unread } = gathered;
  for (let round = 1; ; round++) {
    if (system === undefined || plan.steps.length === 0)
      return { done, failed: [], notes: plan.notes, unread };
    const report = await carryOut(plan, {
      systemIdentifier: system,
      walSegmentSizeBytes,
      log,
      signal,
      onProgress: (progress) => onProgress?.("copying", progress),
    });
    done.push(...report.done.filter(({ outcome }) => outcome !== "nothing-to-do"));
    if (report.found.length === 0 || round === maxRounds) {
      return { done, failed: report.failed, notes: plan.notes, unread };
    }
    const isMended = (damage: Damage): boolean => report.done.some(({ step }) => concerns(step, damage));
    damages = [...damages.filter((damage) => !isMended(damage)), ...report.found];
    ({ plan } = await planRepositories(options, damages));
  }
}
