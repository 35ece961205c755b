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
 * `items` in the order of one round: each round begins with the next one, and every other round goes backwards, so that over
 * the rounds each comes first, last and behind different neighbours.
 */
export function alternated<T>(items: readonly T[], round: number): T[] {
  const step = round % 2 === 0 ? 1 : -1;
  return items.map((_, at) => items.at((round + step * at) % items.length)!);
}
