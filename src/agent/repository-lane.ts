import type { WalFileName } from "../postgres/wal-file-name.ts";
import { RepositoryHealth } from "./repository-health.ts";

/** So long, without a break, the others wait for a repository that has no room; and so long in ten seconds, in all. */
const breakMs = 1000;
const waitedMs = 4000;
const windowMs = 10_000;
/** For so long nobody waits for a repository that was waited for too long. */
const aloneMs = 60_000;

/** The newest segment that a repository is known to have. */
export interface LastStored {
  readonly name: string;
  readonly at: Date;
}

/**
 * The way of WAL into one repository: how many files are on it, and whether the others should wait for it. Files go to all
 * repositories together, from one read, while they are about equally quick. One that is much slower, or hangs, takes
 * what it can; the others go on without it, and it gets the rest later. Pure: times are arguments, on one monotonic scale.
 */
export class RepositoryLane {
  readonly health = new RepositoryHealth();
  lastStored: LastStored | undefined;
  readonly #limit: number;
  readonly #onTheWay = new Map<string, number>();
  #heldSinceMs: number | undefined;
  #heldMs = 0;
  #windowFromMs = Number.NEGATIVE_INFINITY;
  #aloneUntilMs = Number.NEGATIVE_INFINITY;

  /** `limit`: files on the way at once. Their encoded bytes are in memory, so this bounds that too. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get hasRoom(): boolean {
    return this.#onTheWay.size < this.#limit;
  }

  /** Files on the way, with the time each was begun. */
  get onTheWay(): ReadonlyMap<string, number> {
    return this.#onTheWay;
  }

  /** When the next push to it may start: now, at a time, or never (infinite) before something has changed. */
  availableAtMs(nowMs: number): number {
    return this.hasRoom ? this.health.availableAtMs(nowMs) : Number.POSITIVE_INFINITY;
  }

  /** Until when a file shall wait for it that could go to others at once; undefined when not at all. */
  worthWaitingUntilMs(nowMs: number): number | undefined {
    if (this.hasRoom || nowMs < this.#aloneUntilMs || this.health.report().state === "failing")
      return undefined;
    if (nowMs - this.#windowFromMs >= windowMs) {
      this.#windowFromMs = nowMs;
      this.#heldMs = 0;
    }
    this.#heldSinceMs ??= nowMs;
    const untilMs = this.#heldSinceMs + Math.min(breakMs, waitedMs - this.#heldMs);
    if (nowMs < untilMs) return untilMs;
    this.#aloneUntilMs = nowMs + aloneMs;
    return undefined;
  }

  begin(name: string, nowMs: number): void {
    this.#onTheWay.set(name, nowMs);
    this.health.started();
  }

  end(name: string, nowMs: number): void {
    this.#onTheWay.delete(name);
    this.health.released();
    if (this.#heldSinceMs !== undefined) this.#heldMs += nowMs - this.#heldSinceMs;
    this.#heldSinceMs = undefined;
  }

  /** It has this file since then. Files may arrive out of order; the newest segment counts. */
  stored(file: WalFileName, at: Date): void {
    if (file.kind !== "segment") return;
    if (this.lastStored === undefined || file.name >= this.lastStored.name) {
      this.lastStored = { name: file.name, at };
    }
  }
}
