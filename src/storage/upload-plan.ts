import { mib } from "../common/units.ts";
import type { StoreCapabilities } from "./object-store.ts";

/**
 * How the objects of one archive part are cut for upload, so that every store takes them: equal pieces, few enough of
 * them, and small enough that several lanes of them fit in memory.
 */
export interface UploadPlan {
  readonly partBytes: number;
  readonly maxInFlight: number;
}

/** Compressed or not, an archive is hardly longer than the tar in it; this much more is allowed for. */
const growth = 1.02;

/** Of larger ones, one on its way is enough for each lane's speed, and two would cost too much memory. */
const parallelUpTo = 8 * mib;

/**
 * @param expectedTarBytes the most that the tar can come to
 * @param wantedPartBytes overrides the stores' preference (not their limits)
 */
export function planUpload(
  stores: readonly StoreCapabilities[],
  expectedTarBytes: number,
  wantedPartBytes?: number,
): UploadPlan {
  const atLeast = Math.max(...stores.map((store) => store.minPartBytes));
  const atMost = Math.min(...stores.map((store) => store.maxPartBytes));
  const count = Math.min(...stores.map((store) => store.maxParts));
  const preferred = wantedPartBytes ?? Math.max(...stores.map((store) => store.preferredPartBytes));
  const needed = Math.ceil((expectedTarBytes * growth) / count / mib) * mib;
  const fewest = expectedTarBytes * growth > preferred * count ? needed : preferred;
  const partBytes = Math.min(Math.max(fewest, atLeast), atMost);
  const parallel = stores.every((store) => store.parallelParts) && partBytes <= parallelUpTo;
  return { partBytes, maxInFlight: parallel ? 2 : 1 };
}
