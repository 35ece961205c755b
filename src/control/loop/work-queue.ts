import { assert } from "../../common/errors.ts";
import { keyId, type ResourceKey } from "../resources/resource.ts";
import type { Again } from "./reconciler.ts";

const firstPauseMs = 1000;
const longestPauseMs = 60_000;

interface Entry {
  readonly key: ResourceKey;
  /** There was news while it was running, so it has to run again. */
  hasNews: boolean;
  /** While waiting: when its time comes. */
  dueMs: number;
  /** Failures since the last success. */
  failures: number;
}

/** What a failure costs. */
export interface Setback {
  /** How many there have been one after the other. */
  readonly attempt: number;
  readonly pauseMs: number;
}

/**
 * Which keys are to be looked at, in which order, and when. A key is in it once, whatever happens to it: a thousand changes
 * of one object are one entry, and it comes behind all others that are queued, so that none starves another.
 *
 * A key is queued, running, waiting for its time, or not there at all:
 *
 * | there is … | queued | running                                               | waiting | not there |
 * | ---------- | ------ | ----------------------------------------------------- | ------- | --------- |
 * | news       | stays  | has news                                              | queued  | queued    |
 * | its turn   | runs   |                                                       | queued  |           |
 * | a success  |        | queued when it has news, else waiting, or not there   |         |           |
 * | a failure  |        | waiting                                               |         |           |
 *
 * Times are milliseconds of one clock that never goes back.
 */
export class WorkQueue {
  readonly #queued = new Map<string, Entry>();
  readonly #running = new Map<string, Entry>();
  readonly #waiting = new Map<string, Entry>();
  /** None of those that wait is due earlier. One that was may have left. */
  #nextDueMs = Number.POSITIVE_INFINITY;

  /** How many keys there are. */
  get size(): number {
    return this.#queued.size + this.#running.size + this.#waiting.size;
  }

  /** There is news of this key. */
  add(key: ResourceKey): void {
    const id = keyId(key);
    const running = this.#running.get(id);
    if (running !== undefined) running.hasNews = true;
    else this.#queue(id, this.#waiting.get(id) ?? { key, hasNews: false, dueMs: 0, failures: 0 });
  }

  /** The next key, which runs from now on, until `succeeded` or `failed` is told of it. */
  take(nowMs: number): ResourceKey | undefined {
    this.#queueDue(nowMs);
    const next = this.#queued.entries().next();
    if (next.done === true) return undefined;
    const [id, entry] = next.value;
    this.#queued.delete(id);
    this.#running.set(id, entry);
    return entry.key;
  }

  succeeded(key: ResourceKey, again: Again, nowMs: number): void {
    const [id, entry] = this.#end(key);
    if (entry.hasNews) this.#queue(id, { ...entry, hasNews: false, failures: 0 });
    else if (again !== "never") this.#wait(id, { ...entry, failures: 0, dueMs: nowMs + again.afterMs });
  }

  /**
   * News that came meanwhile shortens the pause to the first one, but does not take it away: it may be what the failing
   * call wrote itself, each time something else.
   */
  failed(key: ResourceKey, nowMs: number): Setback {
    const [id, entry] = this.#end(key);
    const attempt = entry.failures + 1;
    const pauseMs = entry.hasNews ? firstPauseMs : pauseAfter(attempt);
    this.#wait(id, { ...entry, hasNews: false, failures: attempt, dueMs: nowMs + pauseMs });
    return { attempt, pauseMs };
  }

  /** When to come back for those that wait: their earliest time, or sooner. Infinity when none waits. */
  get nextDueMs(): number {
    return this.#nextDueMs;
  }

  #queueDue(nowMs: number): void {
    if (nowMs < this.#nextDueMs) return;
    const due: [string, Entry][] = [];
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    for (const [id, entry] of this.#waiting) {
      if (entry.dueMs <= nowMs) due.push([id, entry]);
      else this.#nextDueMs = Math.min(this.#nextDueMs, entry.dueMs);
    }
    for (const [id, entry] of due.sort(([, a], [, b]) => a.dueMs - b.dueMs)) this.#queue(id, entry);
  }

  /** One that is queued already keeps its place. */
  #queue(id: string, entry: Entry): void {
    this.#waiting.delete(id);
    if (!this.#queued.has(id)) this.#queued.set(id, entry);
  }

  #wait(id: string, entry: Entry): void {
    this.#waiting.set(id, entry);
    this.#nextDueMs = Math.min(this.#nextDueMs, entry.dueMs);
  }

  #end(key: ResourceKey): [string, Entry] {
    const id = keyId(key);
    const entry = this.#running.get(id);
    assert(entry !== undefined, "what ends was running");
    this.#running.delete(id);
    return [id, entry];
  }
}

function pauseAfter(failures: number): number {
  return Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
}
