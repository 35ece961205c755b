import { createHash } from "node:crypto";
import { signalOption, throwIfAborted } from "../common/abort.ts";
import { EngineError, isEngineError } from "../common/errors.ts";
import { faultPoint } from "../common/fault-point.ts";
import { mib } from "../common/units.ts";
import { codecNamed } from "../codec/codecs.ts";
import { Measure, measured } from "../codec/measure.ts";
import { claimRepository } from "../repository/claim.ts";
import { walKey } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { concernsRepository, isUnusable } from "../repository/several-repositories.ts";
import type { WalObject } from "../repository/wal-inventory.ts";
import { readWalSum, writeWalSum, type WalSum } from "../repository/wal-sum.ts";
import { describeDamaged } from "./describe-damaged.ts";
import type { WalSource, WalStep } from "./heal-plan.ts";
import type { Damage } from "./inventory.ts";
import { aimed, isOfTarget, storeInTarget } from "./target-store.ts";
import { verifyStoredWal, verifyWalBytes, type WalExpectation } from "./verify-wal.ts";

export interface CopyContext extends WalExpectation {
  /** Told of stored bytes as they are copied. */
  readonly onBytes: (bytes: number) => void;
  /** Told of objects that turn out to be damaged where they were to be copied from. */
  readonly onDamage: (damage: Damage) => void;
  readonly signal?: AbortSignal;
}

/** What became of a step. `mended`: something damaged was replaced. */
export type StepOutcome = "copied" | "mended" | "nothing-to-do";

/** Larger ones are read twice instead of being held: once to check them, once to copy them. */
const heldBytes = 64 * mib;

/**
 * Copies one WAL file as it is stored, checked in passing, from the first source whose copy is good. What the target has under
 * this name meanwhile stays, unless it is damaged: that is looked at again right before it is replaced.
 *
 * Killed anywhere: the object is there as a whole or not at all, and the next run does the rest.
 */
export async function copyWal(step: WalStep, context: CopyContext): Promise<StepOutcome> {
  const { target, file, sources } = step;
  const bad = await stillDamaged(step, context);
  if (step.damaged.length > bad.length) return "nothing-to-do";
  let failure: unknown;
  for (const source of sources) {
    try {
      const outcome = await copyFrom(source, step, bad, context);
      faultPoint("heal:wal-copied");
      return outcome;
    } catch (error) {
      throwIfAborted(context.signal);
      if (!concernsRepository(error) || isOfTarget(error)) throw error;
      if (isUnusable(error)) {
        const { repository, object } = source;
        context.onDamage({ repository: repository.name, key: object.key, reason: error.message });
      }
      failure ??= error;
    }
  }
  throw (
    failure ??
    new EngineError(
      "object-missing",
      `no repository has WAL file "${file.name}" for "${target.name}" any more`,
    )
  );
}

/** Of the objects that were found to be damaged, those that still are. What is good by now is never replaced. */
async function stillDamaged({ target, damaged, file }: WalStep, context: CopyContext): Promise<WalObject[]> {
  const bad: WalObject[] = [];
  for (const object of damaged) {
    // Of a history in form only the comparison with another one tells.
    if (file.kind !== "history") {
      try {
        const sound = await verifyStoredWal(target, object, context, context.signal);
        if (sound !== undefined) continue;
      } catch (error) {
        if (!isUnusable(error) && !isEngineError(error, "wal-refused")) throw error;
      }
    }
    bad.push(object);
  }
  return bad;
}

async function copyFrom(
  { repository, object }: WalSource,
  { target, file, reason }: WalStep,
  bad: readonly WalObject[],
  context: CopyContext,
): Promise<StepOutcome> {
  const { codec } = object;
  const { systemIdentifier, walSegmentSizeBytes, signal, onBytes } = context;
  const content = await openGood(repository, object, context);
  if (walSegmentSizeBytes !== undefined) {
    const claim = { systemIdentifier, walSegmentSizeBytes, walCodec: codec };
    await aimed(target, async () => claimRepository(target, claim, signal));
  }
  const key = `${walKey(target.server, file)}${codecNamed(codec).extension}`;
  const replaced = bad.find((other) => other.key === key);
  for (const other of bad) await describeDamaged(target, other.key, reason, signal);
  const written = await storeInTarget(target, key, content.body, {
    expectedBytes: object.sizeBytes,
    verify: content.verify,
    ...(replaced === undefined ? { ifAbsent: true } : {}),
    ...signalOption(signal),
  });
  if (written && !codecNamed(codec).selfChecking) {
    await aimed(target, async () => writeWalSum(target, file, content.sum, signal));
  }
  const others = bad.filter((other) => other.key !== key).map((other) => other.key);
  // Behind the good copy, so that there is one at every moment.
  if (others.length > 0) await aimed(target, async () => target.store.delete(others, signalOption(signal)));
  onBytes(object.sizeBytes);
  return bad.length > 0 ? "mended" : written ? "copied" : "nothing-to-do";
}

interface GoodContent {
  readonly body: AsyncIterable<Uint8Array>;
  readonly verify: () => void;
  readonly sum: WalSum;
}

/** Opens an object whose content has been checked; `verify` throws when what was read then is something else. */
async function openGood(
  repository: Repository,
  object: WalObject,
  context: CopyContext,
): Promise<GoodContent> {
  const { signal } = context;
  if (object.sizeBytes > heldBytes) {
    const first = await digestOf(repository, object.key, signal);
    const sum = await verifyStoredWal(repository, object, context, signal);
    if (sum === undefined) throw gone(repository, object);
    const measure = new Measure({ sha256: true });
    return {
      body: measured(await open(repository, object, signal), measure),
      verify: () => {
        if (measure.result().sha256 !== first) {
          throw new EngineError(
            "object-corrupt",
            `"${repository.store.url}/${object.key}" reads differently each time`,
          );
        }
      },
      sum,
    };
  }
  const isSelfChecking = codecNamed(object.codec).selfChecking;
  const told = isSelfChecking ? undefined : await readWalSum(repository, object.file, signal);
  const pieces: Uint8Array[] = [];
  for await (const chunk of await open(repository, object, signal)) pieces.push(chunk);
  const sum = await verifyWalBytes(pieces, { ...object, sum: told }, context, signal);
  return { body: passing(pieces), verify: () => undefined, sum };
}

async function* passing(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* pieces;
}

async function digestOf(repository: Repository, key: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const opened = await repository.store.get(key, signalOption(signal));
  if (opened !== undefined) for await (const chunk of opened.body) hash.update(chunk);
  return hash.digest("hex");
}

async function open(
  repository: Repository,
  object: WalObject,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const opened = await repository.store.get(object.key, signalOption(signal));
  if (opened === undefined) throw gone(repository, object);
  return opened.body;
}

function gone({ store }: Repository, { key }: WalObject): EngineError {
  return new EngineError("object-missing", `"${store.url}/${key}" was listed but is not there`);
}
