import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import type { ResourceKey } from "../resources/resource.ts";
import { WorkQueue } from "./work-queue.ts";

const key = (name: string): ResourceKey => ({ kind: "Cluster", namespace: "production", name });
const add = (queue: WorkQueue, ...names: string[]) => {
  for (const name of names) queue.add(key(name));
};
/** Everything that has its turn now, in order; it runs from then on. */
const takeAll = (queue: WorkQueue, nowMs = 0) => {
  const taken: string[] = [];
  for (let next = queue.take(nowMs); next !== undefined; next = queue.take(nowMs)) taken.push(next.name);
  return taken;
};

describe("a work queue", () => {
  it("gives keys in the order in which there was news first, each once", () => {
    const queue = new WorkQueue();
    add(queue, "b", "a", "c", "b", "b");

    expect(queue.size).toBe(3);
    expect(takeAll(queue)).toEqual(["b", "a", "c"]);
    expect(queue.size).toBe(3);
  });

  it("forgets a key that needs nothing any more", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    takeAll(queue);

    queue.succeeded(key("a"), "never", 0);

    expect(queue.size).toBe(0);
    expect(queue.take(1e9)).toBeUndefined();
    expect(queue.nextDueMs).toBe(Number.POSITIVE_INFINITY);
  });

  it("does not give a key that runs; with news it comes behind the others, once", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    takeAll(queue);
    add(queue, "a", "b", "a");

    expect(takeAll(queue)).toEqual(["b"]);
    queue.succeeded(key("a"), "never", 0);
    queue.succeeded(key("b"), "never", 0);

    expect(takeAll(queue)).toEqual(["a"]);
    queue.succeeded(key("a"), "never", 0);
    expect(queue.size).toBe(0);
  });

  it("gives a key again when its time has come, the longest due one first", () => {
    const queue = new WorkQueue();
    add(queue, "a", "b");
    takeAll(queue);
    queue.succeeded(key("a"), { afterMs: 500 }, 1000);
    queue.succeeded(key("b"), { afterMs: 200 }, 1000);

    expect(queue.nextDueMs).toBe(1200);
    expect(takeAll(queue, 1199)).toEqual([]);
    expect(takeAll(queue, 1600)).toEqual(["b", "a"]);
  });

  it("gives a key at once when there is news before its time, and not again at that time", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    takeAll(queue);
    queue.succeeded(key("a"), { afterMs: 500 }, 0);
    add(queue, "a");

    expect(takeAll(queue, 1)).toEqual(["a"]);
    queue.succeeded(key("a"), "never", 1);
    expect(queue.take(1000)).toBeUndefined();
  });

  it("lets news during a call count for more than the time it asked for", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    takeAll(queue);
    add(queue, "a");
    queue.succeeded(key("a"), { afterMs: 500 }, 0);

    expect(takeAll(queue, 0)).toEqual(["a"]);
  });

  it("waits longer with each failure up to a minute, and begins anew after a success", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    let nowMs = 0;
    const pauses = Array.from({ length: 8 }, () => {
      expect(takeAll(queue, nowMs)).toEqual(["a"]);
      const { pauseMs, attempt } = queue.failed(key("a"), nowMs);
      expect(queue.take(nowMs + pauseMs - 1)).toBeUndefined();
      nowMs += pauseMs;
      return [attempt, pauseMs / 1000];
    });

    expect(pauses).toEqual([
      [1, 1],
      [2, 2],
      [3, 4],
      [4, 8],
      [5, 16],
      [6, 32],
      [7, 60],
      [8, 60],
    ]);
    takeAll(queue, nowMs);
    queue.succeeded(key("a"), { afterMs: 1 }, nowMs);
    takeAll(queue, nowMs + 1);
    expect(queue.failed(key("a"), nowMs + 1)).toEqual({ attempt: 1, pauseMs: 1000 });
  });

  it("tries at once when there is news after a failure, and counts on", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    takeAll(queue);
    queue.failed(key("a"), 0);
    add(queue, "a");

    expect(takeAll(queue, 1)).toEqual(["a"]);
    expect(queue.failed(key("a"), 1)).toEqual({ attempt: 2, pauseMs: 2000 });
  });

  it("pauses shortly after a failed call that changed something itself, each time", () => {
    const queue = new WorkQueue();
    add(queue, "a");
    for (let attempt = 1; attempt < 5; attempt++) {
      expect(takeAll(queue, attempt * 1000)).toEqual(["a"]);
      add(queue, "a");
      expect(queue.failed(key("a"), attempt * 1000)).toEqual({ attempt, pauseMs: 1000 });
      expect(queue.take(attempt * 1000 + 999)).toBeUndefined();
    }
  });

  it("stays quick and small with thousands of keys and changes", () => {
    const queue = new WorkQueue();
    const started = performance.now();
    const names = Array.from({ length: 5000 }, (_, number) => `pg-${number}`);
    for (let turn = 0; turn < 20; turn++) add(queue, ...names);
    expect(queue.size).toBe(5000);
    let nowMs = 0;
    for (let next = queue.take(nowMs); next !== undefined; next = queue.take(nowMs)) {
      queue.succeeded(next, { afterMs: 60_000 }, nowMs++);
    }

    expect(queue.size).toBe(5000);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

test("whatever happens: a key is never taken twice at once, and none with news is lost or overtaken", () => {
  const names = ["a", "b", "c", "d"];
  const step = fc.record({
    kind: fc.constantFrom("add", "add", "take", "take", "succeed", "again", "fail", "pass"),
    name: fc.constantFrom(...names),
    ms: fc.nat(3000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const queue = new WorkQueue();
      const running = new Set<string>();
      /** Keys with news that no call has begun after. */
      const owed = new Set<string>();
      const wrong: (string | undefined)[] = [];
      let nowMs = 0;
      for (const { kind, name, ms } of steps) {
        if (kind === "pass") nowMs += ms;
        if (kind === "add") {
          queue.add(key(name));
          owed.add(name);
        }
        if (kind === "take") {
          const taken = queue.take(nowMs)?.name;
          // Nothing to do is only said when nothing is.
          if (taken === undefined ? queue.nextDueMs <= nowMs : running.has(taken)) wrong.push(taken);
          if (taken !== undefined) running.add(taken);
          owed.delete(taken ?? "");
        }
        if (!running.has(name)) continue;
        if (kind === "succeed") queue.succeeded(key(name), "never", nowMs);
        else if (kind === "again") queue.succeeded(key(name), { afterMs: ms }, nowMs);
        else if (kind === "fail") queue.failed(key(name), nowMs);
        else continue;
        running.delete(name);
      }
      expect(wrong).toEqual([]);
      expect(queue.size).toBeLessThanOrEqual(names.length);
      for (const name of running) queue.succeeded(key(name), "never", nowMs);
      const rest = takeAll(queue, nowMs + 60_000);
      expect(new Set(rest).size).toBe(rest.length);
      expect(rest).toEqual(expect.arrayContaining([...owed]));
    }),
  );
});
