import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { createLog } from "../../common/log.ts";
import { clusterDraft } from "../backups/testing/sample-objects.ts";
import { ManualClock, settle } from "../loop/testing/manual-clock.ts";
import { keyOf, type Resource } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { serverDraft } from "../servers/testing/sample-server.ts";
import { IntervalWorks, type IntervalWork } from "./interval-work.ts";
import { dueAtMs } from "./work-schedule.ts";

const minute = 60_000;

/** A work whose runs a test ends by hand, or that end at once. */
class ScriptedWork implements IntervalWork {
  readonly name: string;
  readonly retryMs = 5 * minute;
  readonly failure = { reason: "ItFailed", message: "It failed" };
  interval: number | undefined = 30 * minute;
  depends = "";
  /** `work cluster` of each run, when it began. */
  readonly runs: string[];
  readonly #open: { resolve: () => void; reject: (error: Error) => void; signal: AbortSignal }[] = [];
  isHeld = false;
  error: Error | undefined;
  running = 0;
  most = 0;

  constructor(name: string, runs: string[] = []) {
    this.name = name;
    this.runs = runs;
  }

  intervalMs(): number | undefined {
    return this.interval;
  }

  dependsOn(): string {
    return this.depends;
  }

  async run(cluster: Resource, signal: AbortSignal): Promise<void> {
    this.runs.push(`${this.name} ${cluster.metadata.name}`);
    this.running++;
    this.most = Math.max(this.most, this.running);
    try {
      if (this.isHeld) {
        await new Promise<void>((resolve, reject) => this.#open.push({ resolve, reject, signal }));
      }
      if (this.error !== undefined) throw this.error;
    } finally {
      this.running--;
    }
  }

  end(): void {
    this.#open.shift()?.resolve();
  }

  abort(): void {
    for (const { reject, signal } of this.#open)
      if (signal.aborted) reject(new EngineError("aborted", "stopped"));
  }
}

async function works(...all: IntervalWork[]) {
  const clock = new ManualClock();
  const store = await (await temporaryResources()).open(clock);
  const stop = new AbortController();
  const warnings: string[] = [];
  const log = createLog((_level, message, { error }) => warnings.push(`${message}: ${error}`));
  const lanes = new IntervalWorks({ store, works: all, clock, log, random: () => 0.5 });
  const ended = lanes.run(stop.signal);
  return {
    clock,
    store,
    lanes,
    warnings,
    add: (name: string, annotations?: Record<string, string>) =>
      keyOf(store.create({ ...clusterDraft({}, annotations), name })),
    stop: async () => {
      stop.abort();
      await ended;
    },
    ended,
    signal: stop,
  };
}

describe("interval work", () => {
  test("runs soon after a cluster was made, and then each interval with some jitter", async () => {
    const work = new ScriptedWork("look");
    const { clock, add, stop } = await works(work);
    add("pg");
    await clock.advance(999);
    expect(work.runs).toEqual([]);
    await clock.advance(1);
    expect(work.runs).toHaveLength(1);
    // A twentieth longer, with the chance of one half.
    await clock.advance(31.5 * minute - 1);
    expect(work.runs).toHaveLength(1);
    await clock.advance(1);
    expect(work.runs).toHaveLength(2);
    await stop();
  });

  test("runs again within half a minute when what it depends on has changed, and then not before its time", async () => {
    const work = new ScriptedWork("look");
    const { clock, add, stop } = await works(work);
    add("pg");
    await clock.advance(1000);
    work.depends = "another store";
    work.error = new Error("it is not there");
    await clock.advance(30_000);
    expect(work.runs).toHaveLength(2);
    await clock.advance(minute);
    expect(work.runs).toHaveLength(2);
    await stop();
  });

  test("runs a cluster's works one after the other, in their order", async () => {
    const runs: string[] = [];
    const [first, second] = [new ScriptedWork("first", runs), new ScriptedWork("second", runs)];
    first.isHeld = true;
    const { clock, add, stop } = await works(first, second);
    add("pg");
    await clock.advance(10_000);
    expect(runs).toEqual(["first pg"]);
    first.end();
    await settle();

    expect(runs).toEqual(["first pg", "second pg"]);
    await stop();
  });

  test("is done for Servers as for Clusters", async () => {
    const work = new ScriptedWork("look");
    const { clock, store, stop } = await works(work);
    store.create(serverDraft());
    await clock.advance(1000);

    expect(work.runs).toEqual(["look main"]);
    await stop();
  });

  test("runs two clusters at a time, and never two works of one", async () => {
    const work = new ScriptedWork("look");
    work.isHeld = true;
    const { clock, add, lanes, stop } = await works(work);
    const keys = ["a", "b", "c"].map((name) => add(name));
    await clock.advance(10_000);
    for (const key of keys) lanes.request(key, "look");
    await settle();
    expect(work.running).toBe(2);
    work.end();
    await settle();
    expect(work.runs).toHaveLength(3);
    for (let turn = 0; turn < 10; turn++) {
      work.end();
      await settle();
    }

    expect(work.most).toBe(2);
    // The requests that came while they were running led to another run each.
    expect(work.runs.toSorted()).toEqual(["look a", "look a", "look b", "look b", "look c"]);
    await stop();
  });

  test("runs at once when it is asked for", async () => {
    const work = new ScriptedWork("look");
    const { clock, add, lanes, stop } = await works(work);
    const key = add("pg");
    await clock.advance(10_000);
    lanes.request(key, "look");
    lanes.request({ ...key, name: "other" }, "look");
    lanes.request(key, "nothing");
    await settle();

    expect(work.runs).toHaveLength(2);
    await stop();
  });

  test("that fails becomes events of the cluster, and is tried again sooner", async () => {
    const work = new ScriptedWork("look");
    work.error = new EngineError("store-unavailable", "no answer");
    const { clock, add, store, warnings, stop } = await works(work);
    add("pg");
    await clock.advance(1000);
    expect(store.events().map(({ type, reason, message }) => `${type} ${reason}: ${message}`)).toEqual([
      "Warning ItFailed: It failed",
      "Warning ItFailed: no answer",
    ]);
    expect(warnings).toEqual(["look failed for Cluster production/pg: no answer"]);
    await clock.advance(5.25 * minute);

    expect(work.runs).toHaveLength(2);
    await stop();
  });

  test("does not concern hibernated clusters, nor deleted ones", async () => {
    const work = new ScriptedWork("look");
    const { clock, add, store, lanes, stop } = await works(work);
    const key = add("pg", { "cnpg.io/hibernation": "on" });
    lanes.request(key, "look");
    await clock.advance(90 * minute);
    expect(work.runs).toEqual([]);

    store.update({ ...clusterDraft(), name: "pg" });
    await clock.advance(minute);
    expect(work.runs).toHaveLength(1);
    store.delete(key);
    await clock.advance(90 * minute);
    expect(work.runs).toHaveLength(1);
    await stop();
  });

  test("takes up another interval within half a minute", async () => {
    const work = new ScriptedWork("look");
    work.interval = undefined;
    const { clock, add, stop } = await works(work);
    add("pg");
    await clock.advance(10 * minute);
    expect(work.runs).toEqual([]);
    work.interval = 10_000;
    await clock.advance(30_000);
    expect(work.runs).toHaveLength(1);
    await clock.advance(10_500);

    expect(work.runs).toHaveLength(2);
    await stop();
  });

  test("has ended when it was stopped, and what it was at is told", async () => {
    const work = new ScriptedWork("look");
    work.isHeld = true;
    const { clock, add, store, ended, signal } = await works(work);
    add("pg");
    await clock.advance(1000);
    let hasEnded = false;
    void ended.then(() => {
      hasEnded = true;
    });
    signal.abort();
    await settle();
    expect(hasEnded).toBe(false);
    work.abort();
    await ended;

    expect(store.events()).toEqual([]);
  });
});

describe("when a work is due", () => {
  test("is never before its pause, nor much later", () => {
    const chance = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(chance, chance, fc.boolean(), fc.nat(10 ** 7), (random, again, hasFailed, intervalMs) => {
        const lastRun = { endedMs: 1000, hasFailed, random: again };
        const dueMs = dueAtMs(
          { seenMs: 0, random, isRequested: false, lastRun },
          { intervalMs, retryMs: 300_000 },
        );
        const pauseMs = hasFailed ? Math.min(300_000, intervalMs) : intervalMs;

        expect(dueMs).toBeGreaterThanOrEqual(1000 + pauseMs);
        expect(dueMs).toBeLessThanOrEqual(1000 + pauseMs * 1.1 + 1);
      }),
    );
  });
});
