/** What is said of several readings: the median, because one disturbed run must not move it, and the extremes. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Undefined for no readings at all. Of an even number the median is the mean of the middle two. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const min = sorted[0];
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const upper = sorted[sorted.length >> 1] ?? min;
  const lower = sorted[(sorted.length - 1) >> 1] ?? min;
  return { median: (lower + upper) / 2, min, max, count: sorted.length };
}

/**
 * `items` in the order of one round: rotated by the round, and backwards every other time, so that over the rounds each
 * comes first, last and behind different neighbours.
 */
export function alternated<T>(items: readonly T[], round: number): T[] {
  if (items.length === 0) return [];
  const from = round % items.length;
  const rotated = [...items.slice(from), ...items.slice(0, from)];
  return round % 2 === 0 ? rotated : rotated.reverse();
}
