import { setTimeout } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { createLog } from "../../common/log.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import { keyOf, type ResourceKey } from "../resources/resource.ts";
import { draft, key } from "../resources/testing/drafts.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import type { Again, Reconciler } from "./reconciler.ts";
import { runReconcilers, type ReconcilersOptions } from "./run-reconcilers.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";

/** A store, and a loop over it that ends with the test. */
async function lab(options: Partial<Omit<ReconcilersOptions, "reconcilers">> = {}) {
  const clock = new ManualClock();
  const store = await (await temporaryResources()).open(clock);
  const end = new AbortController();
  const lines: object[] = [];
  const log = createLog((level, message, fields) => lines.push({ level, message, ...fields }));
  const start = (...reconcilers: readonly Reconciler[]) => {
    const running = runReconcilers({ store, reconcilers, clock, log, signal: end.signal, ...options });
    onTestFinished(async () => {
      end.abort();
      await running.ended;
    });
    return running;
  };
  return { clock, store, end, lines, start };
}

/** Notes for which names it is called, and does what it was made with. It wants no other look unless that says so. */
function noting(
  work: (key: ResourceKey, signal: AbortSignal) => Again | void | Promise<Again | void> = () => undefined,
) {
  const calls: string[] = [];
  const reconciler: Reconciler = {
    kind: "Cluster",
    reconcile: async (key, signal) => {
      calls.push(key.name);
      return (await work(key, signal)) ?? "never";
    },
  };
  return { calls, reconciler };
}

function make(store: ResourceStore, ...names: readonly string[]): void {
  for (const name of names) store.create(draft("Cluster", name));
}

describe("reconcilers are called", () => {
  it("for every object of their kind at the start, not before the caller has what started them", async () => {
    const { store, start } = await lab();
    make(store, "a", "b");
    store.create(draft("Backup", "c"));
    const { calls, reconciler } = noting();

    start(reconciler);
    expect(calls).toEqual([]);
    await settle();

    expect(calls).toEqual(["a", "b"]);
  });

  it("for what changes, also for what was deleted", async () => {
    const { store, start } = await lab();
    const found: (string | undefined)[] = [];
    const { reconciler } = noting((key) => {
      found.push(store.get(key)?.metadata.resourceVersion);
    });
    start(reconciler);

    make(store, "a");
    await settle();
    store.update(draft("Cluster", "a", { labels: { x: "y" } }));
    await settle();
    store.setStatus(key("Cluster", "a"), { phase: "x" }, {});
    await settle();
    store.delete(key("Cluster", "a"));
    await settle();
    store.create(draft("Backup", "b"));
    await settle();

    expect(found).toEqual(["1", "2", "3", undefined]);
  });

  it("for what a change of another object affects, also of their own kind", async () => {
    const { store, start } = await lab();
    make(store, "a", "b");
    const { calls, reconciler } = noting();
    const asked: string[] = [];
    start({
      ...reconciler,
      affectedBy: ({ type, resource }) => {
        asked.push(`${type} ${resource.kind}`);
        const affects = resource.kind === "Secret" || resource.metadata.name === "c";
        return affects ? [key("Cluster", "b")] : [];
      },
    });
    await settle();
    calls.length = 0;

    store.create(draft("Secret", "s"));
    store.create(draft("ConfigMap", "m"));
    await settle();
    expect(calls).toEqual(["b"]);
    make(store, "c");
    await settle();

    expect(calls).toEqual(["b", "c", "b"]);
    expect(asked).toEqual(["added Secret", "added ConfigMap", "added Cluster"]);
  });

  it("for what they are triggered for, all of that kind", async () => {
    const { start } = await lab();
    const [first, second] = [noting(), noting()];
    const other = noting();
    const running = start(first.reconciler, second.reconciler, { ...other.reconciler, kind: "Backup" });
    await settle();

    running.trigger("Cluster", key("Cluster", "a"));
    running.trigger("Cluster", { namespace: "production", name: "a" });
    running.trigger("Unknown", key("Unknown", "b"));
    await settle();

    expect([first.calls, second.calls, other.calls]).toEqual([["a"], ["a"], []]);
  });

  it("when the time has come that they asked for, and at once when there is news before", async () => {
    const { clock, store, start } = await lab();
    make(store, "a");
    const { calls, reconciler } = noting(() => ({ afterMs: 3_600_000 }));
    start(reconciler);
    await settle();

    await clock.advance(3_599_999);
    expect(calls).toHaveLength(1);
    await clock.advance(1);
    await settle();
    expect(calls).toHaveLength(2);
    await clock.advance(1_800_000);
    store.setStatus(key("Cluster", "a"), { phase: "x" }, {});
    await settle();
    expect(calls).toHaveLength(3);
    // The hour begins with the last call.
    await clock.advance(3_599_999);
    expect(calls).toHaveLength(3);
    await clock.advance(1);
    await settle();
    expect(calls).toHaveLength(4);
  });

  it("soon after the machine slept over their time, and after months without a look in between", async () => {
    const { clock, store, start } = await lab();
    make(store, "a");
    const monthsMs = 100 * 24 * 3_600_000;
    const { calls, reconciler } = noting(() => ({ afterMs: monthsMs }));
    start(reconciler);
    await settle();

    clock.stepWall(monthsMs - 1000);
    await clock.advance(900);
    await settle();
    expect(calls).toHaveLength(1);
    await clock.advance(30_000);
    await settle();
    expect(calls).toHaveLength(2);
    clock.stepWall(-monthsMs);
    await clock.advance(60_000);
    expect(calls).toHaveLength(2);
  });
});

describe("one object", () => {
  it("is never looked at twice at once, but again when something came meanwhile, once", async () => {
    const { clock, store, start } = await lab();
    let atOnce = 0;
    let most = 0;
    const seen: string[] = [];
    const { calls, reconciler } = noting(async (key) => {
      most = Math.max(most, ++atOnce);
      await clock.sleep(1000);
      seen.push(store.require(key).metadata.resourceVersion);
      atOnce--;
    });
    make(store, "a");
    start(reconciler);
    await settle();

    for (let number = 0; number < 1000; number++) store.setStatus(key("Cluster", "a"), { number }, {});
    await clock.advance(1000);
    await settle();
    await clock.advance(1000);
    await settle();
    await clock.advance(60_000);

    expect(calls).toEqual(["a", "a"]);
    expect(most).toBe(1);
    expect(seen.at(-1)).toBe("1001");
  });

  it("that writes its own status is looked at once more, and not for ever", async () => {
    const { store, start } = await lab();
    make(store, "a");
    const { calls, reconciler } = noting((key) => {
      store.setStatus(key, { phase: "ready" }, {});
      return { afterMs: 60_000 };
    });
    start(reconciler);
    await settle();

    expect(calls).toEqual(["a", "a"]);
  });

  it("does not keep the others from their turn, nor the process from its timers, however busy it is", async () => {
    const { store, start } = await lab({ concurrency: 1, clock: systemClock });
    make(store, "busy", "b", "c");
    let count = 0;
    const { calls, reconciler } = noting((key) => {
      if (key.name === "busy") store.setStatus(key, { count: count++ }, {});
    });
    start(reconciler);

    await setTimeout(50);

    expect(calls.slice(0, 5)).toEqual(["b", "busy", "c", "busy", "busy"]);
  });
});

describe("calls at a time", () => {
  it("are as many as allowed for each reconciler", async () => {
    const { clock, store, start } = await lab({ concurrency: 2 });
    make(store, "a", "b", "c", "d", "e");
    const slow = noting(async () => {
      await clock.sleep(1000);
    });
    const other = noting();
    start(slow.reconciler, other.reconciler);
    await settle();

    expect(slow.calls).toEqual(["a", "b"]);
    expect(other.calls).toHaveLength(5);
    await clock.advance(1000);
    await settle();
    expect(slow.calls).toEqual(["a", "b", "c", "d"]);
    await clock.advance(1000);
    await settle();
    expect(slow.calls).toEqual(["a", "b", "c", "d", "e"]);
    await clock.advance(1000);
  });
});

describe("a failure", () => {
  it("is logged once, and tried again after pauses that grow until it succeeds", async () => {
    const { clock, store, lines, start } = await lab();
    make(store, "a");
    const times: number[] = [];
    const { reconciler } = noting(() => {
      times.push(clock.monotonicMs() / 1000);
      if (times.length === 4) return { afterMs: 5000 };
      throw new EngineError("store-unavailable", "the store is away", { cause: new Error("no route") });
    });
    start(reconciler);

    await clock.advance(15_000);
    await settle();

    expect(times).toEqual([0, 1, 3, 7, 12, 13, 15]);
    expect(lines.slice(0, 2)).toEqual([
      {
        level: "warn",
        message: "could not reconcile an object; it is tried again",
        resource: "Cluster production/a",
        attempt: 1,
        pauseMs: 1000,
        error: "the store is away: no route",
      },
      expect.objectContaining({ attempt: 2, pauseMs: 2000 }),
    ]);
    expect(lines).toHaveLength(6);
    expect(lines[3]).toMatchObject({ attempt: 1, pauseMs: 1000 });
  });

  it("does not wait when there is news, and touches no other object", async () => {
    const { clock, store, start } = await lab();
    make(store, "a", "b");
    const { calls, reconciler } = noting((key) => {
      if (key.name === "a") throw new Error("no");
      return { afterMs: 1000 };
    });
    start(reconciler);
    await clock.advance(7000);
    await settle();
    calls.length = 0;

    store.setStatus(key("Cluster", "a"), { phase: "x" }, {});
    await settle();
    expect(calls).toEqual(["a"]);
    await clock.advance(1000);
    await settle();
    expect(calls).toEqual(["a", "b"]);
  });

  it("may be thrown at once, and a nonsense answer is one", async () => {
    const { store, lines, start } = await lab();
    make(store, "a");
    start(
      {
        kind: "Cluster",
        reconcile: () => {
          throw new Error("not even begun");
        },
      },
      { kind: "Cluster", reconcile: async () => ({ afterMs: Number.NaN }) },
    );
    await settle();

    expect(lines).toMatchObject([
      { error: "not even begun" },
      { error: "assertion failed: a reconciler says when to look again" },
    ]);
  });
});

describe("the end", () => {
  it("comes when the calls under way have ended, which get the signal; nothing begins any more", async () => {
    const { clock, store, end, lines, start } = await lab({ concurrency: 2 });
    make(store, "a", "b", "c");
    const told: string[] = [];
    const { calls, reconciler } = noting(async ({ name }, signal) => {
      await clock.sleep(name === "a" ? 1_000_000 : 5000, name === "a" ? signal : undefined);
      told.push(name);
    });
    let asked = 0;
    const affectedBy: Reconciler["affectedBy"] = ({ resource }) => {
      if (resource.kind === "Secret") asked++;
      return [];
    };
    const running = start({ ...reconciler, affectedBy });
    let isEnded = false;
    void running.ended.then(() => (isEnded = true));
    await settle();

    end.abort(new EngineError("aborted", "stopped"));
    await settle();
    expect(isEnded).toBe(false);
    make(store, "d");
    running.trigger("Cluster", keyOf(store.require(key("Cluster", "a"))));
    await clock.advance(5000);
    await settle();

    expect(isEnded).toBe(true);
    expect(calls).toEqual(["a", "b"]);
    expect(told).toEqual(["b"]);
    store.create(draft("Secret", "s"));
    expect(asked).toBe(0);
    // To be stopped is no failure.
    expect(lines).toEqual([]);
    expect(clock.sleepers).toBe(0);
  });

  it("comes at once when there is nothing to do, also when it was asked for before the start", async () => {
    const { end, start, store } = await lab({ clock: systemClock });
    make(store, "a");
    const { calls, reconciler } = noting();
    const first = start(reconciler);
    await settle();
    end.abort();
    await first.ended;

    await start(reconciler).ended;

    expect(calls).toEqual(["a"]);
  });
});

describe("many objects", () => {
  it("come to rest quickly, each looked at after its last change", async () => {
    const { store, start } = await lab({ clock: systemClock });
    const seen = new Map<string, string | undefined>();
    let calls = 0;
    const { reconciler } = noting(async (key) => {
      calls++;
      const { resourceVersion } = store.require(key).metadata;
      if (calls % 7 === 0) await setTimeout(1);
      seen.set(key.name, resourceVersion);
    });
    start(reconciler);

    for (let number = 0; number < 3000; number++) {
      const name = `pg-${number % 300}`;
      if (number < 300) make(store, name);
      else store.setStatus(key("Cluster", name), { number }, {});
      if (number % 100 === 0) await setTimeout(1);
    }
    await setTimeout(500);

    expect(seen).toEqual(
      new Map(store.list().map(({ metadata }) => [metadata.name, metadata.resourceVersion])),
    );
    expect(calls).toBeLessThan(6000);
  });
});
