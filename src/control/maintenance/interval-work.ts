import type { Clock } from "../../common/clock.ts";
import { Semaphore } from "../../common/concurrency.ts";
import { describeError } from "../../common/errors.ts";
import type { Log } from "../../common/log.ts";
import { archivedObjects, isArchived } from "../archived-objects.ts";
import { passingTime } from "../loop/passing-time.ts";
import { WakeUp } from "../../common/wake-up.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { formatKey, keyOf, type Resource, type ResourceKey } from "../resources/resource.ts";
import { dueAtMs, type WorkState } from "./work-schedule.ts";

/**
 * Work that comes again and again for each cluster, be it a Cluster or a Server: reading windows, retention, and whatever
 * follows (healing, checks, drills). This is the one place it plugs in. A cluster's works run one after the other, in the
 * order they are given, and a few clusters at a time. What fails becomes an event of it, and is tried again sooner.
 */
export interface IntervalWork {
  /** Unique; for logs and requests. */
  readonly name: string;
  /** Pause between the end of a run and the next one. Undefined: nothing to do for this cluster. Asked often; never throws. */
  intervalMs(cluster: Resource): number | undefined;
  /** What it finds depends on this besides: when that is another than at its last run, it runs at once. Asked often; never throws. */
  dependsOn?(cluster: Resource): string;
  /** Pause after a run that failed. */
  readonly retryMs: number;
  /** Throws what went wrong. Stops soon when the signal fires. */
  run(cluster: Resource, signal: AbortSignal): Promise<void>;
  /** What is said of the Cluster when a run failed: first this message, then one with the error's own words. */
  readonly failure: { readonly reason: string; readonly message: string };
}

export interface IntervalWorksOptions {
  readonly store: ResourceStore;
  readonly works: readonly IntervalWork[];
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 to 1; for jitter. */
  readonly random: () => number;
}

/** Clusters at a time: their work is reading from stores, and the machine has other things to do. */
const concurrency = 2;
/** How long it sleeps at most: a cluster's interval may change meanwhile, or the machine sleep as well. */
const lookMs = 30_000;

interface Lane {
  readonly states: Map<string, WorkState>;
  isRunning: boolean;
}

export class IntervalWorks {
  readonly #options: IntervalWorksOptions;
  /** By the cluster's uid. */
  readonly #lanes = new Map<string, Lane>();
  readonly #running = new Set<Promise<void>>();
  readonly #gate = new Semaphore(concurrency);
  readonly #wakeUp: WakeUp;
  readonly #nowMs: () => number;

  constructor(options: IntervalWorksOptions) {
    this.#options = options;
    this.#wakeUp = new WakeUp(options.clock);
    this.#nowMs = passingTime(options.clock);
  }

  /** Works until the signal fires; resolves when everything that was under way has ended. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    const wake = () => this.#wakeUp.notify();
    signal.addEventListener("abort", wake, { once: true });
    const unsubscribe = store.subscribe(({ type, resource: { kind } }) => {
      // Statuses change all the time, and no interval depends on one; a new cluster must not wait.
      if (isArchived(kind) && type === "added") wake();
    });
    while (!signal.aborted) await this.#wakeUp.wait(this.#start(signal));
    signal.removeEventListener("abort", wake);
    unsubscribe();
    await Promise.all(this.#running);
  }

  /** Has one work of a cluster run as soon as possible; also again, if it is running just now. */
  request(cluster: ResourceKey, work: string): void {
    const resource = this.#options.store.get(cluster);
    if (resource === undefined) return;
    const state = this.#laneOf(resource).states.get(work);
    if (state === undefined) return;
    state.isRequested = true;
    this.#wakeUp.notify();
  }

  /** Starts what is due; returns for how long nothing else is. */
  #start(signal: AbortSignal): number {
    const clusters = this.#clusters();
    const nowMs = this.#nowMs();
    let pauseMs = lookMs;
    for (const cluster of clusters) {
      const lane = this.#laneOf(cluster);
      if (lane.isRunning) continue;
      const dueMs = Math.min(...this.#options.works.map((work) => this.#dueMs(lane, work, cluster)));
      if (dueMs > nowMs) {
        pauseMs = Math.min(pauseMs, dueMs - nowMs);
        continue;
      }
      lane.isRunning = true;
      const run = this.#gate.run(async () => this.#runLane(lane, cluster, signal));
      this.#running.add(run);
      // It never rejects.
      void run.then(() => {
        lane.isRunning = false;
        this.#running.delete(run);
        this.#wakeUp.notify();
      });
    }
    return pauseMs;
  }

  async #runLane(lane: Lane, cluster: Resource, signal: AbortSignal): Promise<void> {
    const { works, random } = this.#options;
    for (const work of works) {
      const now = this.#current(cluster);
      if (signal.aborted || now === undefined) return;
      const state = lane.states.get(work.name);
      if (state === undefined || this.#dueMs(lane, work, now) > this.#nowMs()) continue;
      state.isRequested = false;
      state.ranFor = work.dependsOn?.(now);
      const hasFailed = !(await this.#runWork(work, now, signal));
      state.lastRun = { endedMs: this.#nowMs(), hasFailed, random: random() };
    }
  }

  async #runWork(work: IntervalWork, cluster: Resource, signal: AbortSignal): Promise<boolean> {
    try {
      await work.run(cluster, signal);
      return true;
    } catch (error) {
      if (!signal.aborted) this.#tellFailure(work, cluster, describeError(error));
      return false;
    }
  }

  #tellFailure(
    { name, failure: { reason, message } }: IntervalWork,
    cluster: Resource,
    detail: string,
  ): void {
    const { store, log } = this.#options;
    log.warn(`${name} failed for ${formatKey(keyOf(cluster))}`, { error: detail });
    try {
      for (const text of [message, detail]) {
        store.recordEvent({ about: cluster, type: "Warning", reason, message: text });
      }
    } catch (error) {
      // The disk is full, say: the works go on.
      log.warn("could not note an event", { error: describeError(error) });
    }
  }

  #dueMs(lane: Lane, work: IntervalWork, cluster: Resource): number {
    const state = lane.states.get(work.name);
    const intervalMs = work.intervalMs(cluster);
    if (state === undefined || intervalMs === undefined) return Number.POSITIVE_INFINITY;
    if (state.ranFor !== undefined && work.dependsOn?.(cluster) !== state.ranFor) {
      return Number.NEGATIVE_INFINITY;
    }
    return dueAtMs(state, { intervalMs, retryMs: work.retryMs });
  }

  /** Those that are maintained; lanes of others are forgotten once they rest. */
  #clusters(): readonly Resource[] {
    const clusters = archivedObjects(this.#options.store).filter(isMaintained);
    const uids = new Set(clusters.map(({ metadata }) => metadata.uid));
    for (const [uid, lane] of this.#lanes) if (!uids.has(uid) && !lane.isRunning) this.#lanes.delete(uid);
    return clusters;
  }

  #current(cluster: Resource): Resource | undefined {
    const now = this.#options.store.get(keyOf(cluster));
    return now?.metadata.uid === cluster.metadata.uid && isMaintained(now) ? now : undefined;
  }

  #laneOf({ metadata }: Resource): Lane {
    const known = this.#lanes.get(metadata.uid);
    if (known !== undefined) return known;
    const { works, random } = this.#options;
    const seen = { seenMs: this.#nowMs(), random: random() };
    const states = works.map(({ name }): [string, WorkState] => [
      name,
      { ...seen, isRequested: false, ranFor: undefined, lastRun: undefined },
    ]);
    const lane: Lane = { states: new Map(states), isRunning: false };
    this.#lanes.set(metadata.uid, lane);
    return lane;
  }
}

/** A hibernated cluster gets neither backups nor maintenance. */
function isMaintained({ metadata: { annotations, deletionTimestamp } }: Resource): boolean {
  return deletionTimestamp === undefined && annotations["cnpg.io/hibernation"] !== "on";
}
