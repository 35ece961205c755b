/** Over how long rates are measured. */
const windowMs = 60_000;
const growthWindowMs = 300_000;

/** Rates of the recent past. Times are of one monotonic scale. */
export class DrainMeter {
  #drained: number[] = [];
  #backlog: { readonly atMs: number; readonly bytes: number }[] = [];

  drained(nowMs: number): void {
    this.#drained.push(nowMs);
    if (this.#drained.length > 50_000) this.#drained = this.#drained.slice(-25_000);
  }

  backlog(nowMs: number, bytes: number): void {
    this.#backlog = [
      ...this.#backlog.filter(({ atMs }) => atMs > nowMs - growthWindowMs),
      { atMs: nowMs, bytes },
    ];
  }

  /** WAL files archived per second, in the last minute (or since the first one, when that is shorter). */
  drainPerSecond(nowMs: number): number {
    this.#drained = this.#drained.filter((atMs) => atMs > nowMs - windowMs);
    const first = this.#drained[0];
    if (first === undefined) return 0;
    return (this.#drained.length * 1000) / Math.max(1000, nowMs - first);
  }

  /** By how much the backlog grows; negative while it drains, 0 when nothing is known. */
  growthBytesPerSecond(nowMs: number): number {
    const recent = this.#backlog.filter(({ atMs }) => atMs > nowMs - growthWindowMs);
    const first = recent[0];
    const last = recent.at(-1);
    if (first === undefined || last === undefined || last.atMs - first.atMs < 1000) return 0;
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  }
}

/** How long until `freeBytes` are used up at this growth; undefined when that is not in sight. */
export function diskFullInMs(freeBytes: number, growthBytesPerSecond: number): number | undefined {
  return growthBytesPerSecond > 0 ? (freeBytes / growthBytesPerSecond) * 1000 : undefined;
}
