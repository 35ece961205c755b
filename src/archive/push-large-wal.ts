import { faultPoint } from "../common/fault-point.ts";
import type { ArchiveTarget } from "./archive-target.ts";
import { formatCrc32Checksum, type ContentChecksum } from "./content-checksum.ts";
import type { LocalWal } from "./local-wal.ts";
import type { WalPush } from "./push-wal.ts";
import { Patience } from "./patience.ts";
import { storeLargeWal } from "./store-large-wal.ts";
import { attempt, storeSum, type PushOutcome } from "./store-wal.ts";
import { missedError } from "./wal-content.ts";

/**
 * A push of a file that is too large to hold: it passes through once for each form, part by part, to all targets that are
 * ready. Here they do wait for each other, for two seconds in all: whoever holds the others up for longer fails with
 * `wal-timeout` and gets the file later, alone, when nobody has to wait.
 */
export function pushLargeWal(
  local: LocalWal,
  targets: readonly ArchiveTarget[],
  prepare: (target: ArchiveTarget) => Promise<PushOutcome | undefined>,
  signal: AbortSignal | undefined,
): WalPush {
  const pushed = pushAll(local, targets, prepare, signal);
  const outcomes = targets.map(async (target): Promise<PushOutcome> => {
    const { outcomes } = await pushed;
    return outcomes.get(target) ?? failed(target, local);
  });
  for (const outcome of outcomes) outcome.catch(() => undefined);
  return {
    file: local.file,
    sizeBytes: local.sizeBytes,
    mtimeNs: local.mtimeNs,
    outcomes,
    checksum: async () => (await pushed).checksum ?? local.checksum(),
    release: async () => {
      await pushed.catch(() => undefined);
      await local[Symbol.asyncDispose]();
    },
  };
}

interface Pushed {
  readonly checksum: ContentChecksum | undefined;
  /** Without those that were left behind. */
  readonly outcomes: ReadonlyMap<ArchiveTarget, PushOutcome>;
}

async function pushAll(
  local: LocalWal,
  targets: readonly ArchiveTarget[],
  prepare: (target: ArchiveTarget) => Promise<PushOutcome | undefined>,
  signal: AbortSignal | undefined,
): Promise<Pushed> {
  const patience = new Patience();
  const outcomes = new Map<ArchiveTarget, PushOutcome>();
  const ready: ArchiveTarget[] = [];
  await patience.together(
    targets.map((target) => ({
      done: prepare(target).then((outcome) => {
        if (outcome === undefined) ready.push(target);
        else outcomes.set(target, outcome);
        return outcome?.kind !== "failed";
      }),
      // Its preparing does no harm; what becomes of it is not looked at.
      leave: () => outcomes.set(target, failed(target, local)),
    })),
  );
  // Whoever is ready from here on was left behind.
  const taking = ready.filter((target) => !outcomes.has(target));
  faultPoint("archive:before-store");
  let sum: number | undefined;
  const groups = Map.groupBy(taking, ({ codec, level }) => `${codec} ${level}`);
  for (const group of groups.values()) {
    const stored = await storeLargeWal(group, local, patience, signal);
    sum = stored.crc32;
    for (const [index, target] of group.entries()) {
      const outcome = stored.outcomes[index];
      if (outcome !== undefined)
        outcomes.set(target, await withSum(target, local, outcome, stored.crc32, signal));
    }
  }
  faultPoint("archive:after-store");
  return { checksum: sum === undefined ? undefined : formatCrc32Checksum(sum), outcomes };
}

async function withSum(
  target: ArchiveTarget,
  local: LocalWal,
  outcome: PushOutcome,
  crc32: number,
  signal: AbortSignal | undefined,
): Promise<PushOutcome> {
  if (outcome.kind === "failed") return outcome;
  return attempt(target, async () => {
    await storeSum(target, local, crc32, signal);
    return outcome;
  });
}

function failed(target: ArchiveTarget, local: LocalWal): PushOutcome {
  return { kind: "failed", repository: target.repository.name, error: missedError(target, local.file.name) };
}
