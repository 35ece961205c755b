import { throwIfAborted } from "../common/abort.ts";
import { mapConcurrent } from "../common/concurrency.ts";
import { EngineError, isEngineError } from "../common/errors.ts";
import type { Log } from "../common/log.ts";
import { writeIdentity } from "../repository/identity.ts";
import { identityKey } from "../repository/keys.ts";
import { isStoreTrouble } from "../repository/several-repositories.ts";
import { copyBackup } from "./copy-backup.ts";
import { copyWal, type CopyContext, type StepOutcome } from "./copy-wal.ts";
import { describeDamaged } from "./describe-damaged.ts";
import {
  describeStep,
  type BackupStep,
  type HealPlan,
  type HealStep,
  type IdentityStep,
} from "./heal-plan.ts";
import type { Damage } from "./inventory.ts";
import { aimed, isOfTarget } from "./target-store.ts";
import type { WalExpectation } from "./verify-wal.ts";

/** How far heal is, in stored bytes. */
export interface HealProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface DoneStep {
  readonly step: HealStep;
  readonly outcome: StepOutcome;
}

export interface FailedStep {
  readonly step: HealStep;
  readonly error: EngineError;
}

export interface HealReport {
  readonly done: readonly DoneStep[];
  readonly failed: readonly FailedStep[];
  /** Objects that were to be copied and turned out to be damaged themselves. */
  readonly found: readonly Damage[];
}

/** WAL files on their way at a time. */
const walConcurrency = 8;

/**
 * Does what a plan says, in its order. A step that fails does not hold up the others, but for those of a repository that cannot
 * be written to. Throws `aborted`, and what no store is to blame for.
 */
export async function carryOut(
  { steps }: HealPlan,
  options: WalExpectation & {
    readonly log: Log;
    readonly onProgress?: ((progress: HealProgress) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<HealReport> {
  const { log, onProgress, signal, systemIdentifier, walSegmentSizeBytes } = options;
  const totalBytes = steps.reduce((sum, { bytes }) => sum + bytes, 0);
  const done: DoneStep[] = [];
  const failed: FailedStep[] = [];
  const found: Damage[] = [];
  const down = new Map<string, EngineError>();
  let doneBytes = 0;
  const context: CopyContext = {
    systemIdentifier,
    walSegmentSizeBytes,
    onBytes: (bytes) => {
      doneBytes += bytes;
      onProgress?.({ doneBytes, totalBytes });
    },
    onDamage: (damage) => {
      log.warn("an object that was to be copied is damaged", { ...damage });
      found.push(damage);
    },
    ...(signal === undefined ? {} : { signal }),
  };
  const run = async (step: HealStep): Promise<void> => {
    const { target } = step;
    const trouble = down.get(target.name);
    try {
      if (trouble !== undefined) throw trouble;
      done.push({ step, outcome: await carryOutStep(step, context) });
    } catch (error) {
      throwIfAborted(signal);
      if (!isEngineError(error) || error.code === "internal") throw error;
      const isFull = isEngineError(error, "disk-full");
      if (isOfTarget(error) && (isFull || isStoreTrouble(error))) down.set(target.name, error);
      failed.push({ step, error });
    }
  };
  for (const stage of stagesOf(steps)) {
    // Of a backup whose WAL could not be copied nothing is made visible.
    const [first] = stage;
    if (first?.kind === "backup" && failed.some((failure) => isNeededFor(failure, first))) {
      const message = `the WAL that ${describeStep(first)} needs could not be copied`;
      failed.push({ step: first, error: new EngineError("object-missing", message) });
      continue;
    }
    await mapConcurrent(stage, walConcurrency, run, signal);
  }
  return { done, failed, found };
}

const isNeededFor = ({ step }: FailedStep, { target, mode, needs }: BackupStep): boolean =>
  step.kind === "wal" &&
  step.target === target &&
  mode === "missing" &&
  step.file.kind === "segment" &&
  needs.includes(step.file.segment);

/** WAL files next to each other in the plan are copied together, everything else alone. */
function stagesOf(steps: readonly HealStep[]): HealStep[][] {
  const stages: HealStep[][] = [];
  for (const step of steps) {
    const last = stages.at(-1);
    if (step.kind === "wal" && last?.[0]?.kind === "wal") last.push(step);
    else stages.push([step]);
  }
  return stages;
}

async function carryOutStep(step: HealStep, context: CopyContext): Promise<StepOutcome> {
  switch (step.kind) {
    case "identity":
      return writeIdentityAnew(step, context);
    case "wal":
      return copyWal(step, context);
    case "backup":
      return copyBackup(step, context);
  }
}

async function writeIdentityAnew(step: IdentityStep, { signal }: CopyContext): Promise<StepOutcome> {
  const { target, identity, reason } = step;
  await describeDamaged(target, identityKey(target.server), reason, signal);
  const options = { ifAbsent: false, ...(signal === undefined ? {} : { signal }) };
  await aimed(target, async () => writeIdentity(target, identity, options));
  return "mended";
}
