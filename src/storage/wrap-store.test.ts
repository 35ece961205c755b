import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Clock } from "../common/clock.ts";
import { EngineError } from "../common/errors.ts";
import { createLog, silentLog, type LogFields } from "../common/log.ts";
import { openFileStore } from "./file/file-store.ts";
import { discardBody, readObject } from "./object-body.ts";
import { testObjectStore } from "./testing/conformance.ts";
import { faultyStore, SimulatedCrash } from "./testing/faulty-store.ts";
import { temporaryStore } from "./testing/temporary-store.ts";
import { withConcurrencyLimit } from "./wrappers/concurrency-limit.ts";
import { interceptStore } from "./wrappers/intercept.ts";
import { withLogging } from "./wrappers/logging.ts";
import { createStoreMetrics, withMetrics } from "./wrappers/metrics.ts";
import { withRateLimit } from "./wrappers/rate-limit.ts";
import { withTimeout } from "./wrappers/timeout.ts";
import { wrapStore } from "./wrap-store.ts";

testObjectStore("the wrapped store", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-wrapped-"));
  const store = wrapStore(await openFileStore({ root }), {
    log: silentLog,
    metrics: createStoreMetrics(),
    maxConcurrency: 2,
    rate: { writeBytesPerSecond: 1e12, readBytesPerSecond: 1e12 },
  });
  return Object.assign(store, {
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  });
});

describe("time-outs", () => {
  const never = new Promise<never>(() => undefined);

  test("a call without an answer fails, and is told to stop", async () => {
    const signals: AbortSignal[] = [];
    const inner = await temporaryStore();
    const stuck = interceptStore(inner, {
      call: async (_call, options) => {
        if (options.signal !== undefined) signals.push(options.signal);
        return never;
      },
    });

    const result = withTimeout(stuck, { callMs: 20 }).head("key");

    await expect(result).rejects.toMatchObject({
      code: "store-unavailable",
      retryable: true,
      message: `could not look at "key" in ${inner.url}: no answer within 20 ms`,
    });
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  });

  test("a call that does not heed its signal is left behind a while after that fired", async () => {
    const stuck = interceptStore(await temporaryStore(), { call: async () => never });
    const controller = new AbortController();

    const result = withTimeout(stuck, { abortGraceMs: 20 }).head("key", { signal: controller.signal });
    controller.abort(new EngineError("aborted", "stopped by SIGTERM"));

    await expect(result).rejects.toMatchObject({ code: "aborted", message: "stopped by SIGTERM" });
  });

  test("content gives a call more time", async () => {
    const slow = faultyStore(await temporaryStore(), { latencyMs: 60 });
    const store = withTimeout(slow, { callMs: 20, minBytesPerSecond: 100_000 });

    await expect(store.put("small", [Buffer.alloc(10)])).rejects.toMatchObject({ code: "store-unavailable" });
    await expect(store.put("large", [Buffer.alloc(100_000)])).resolves.toMatchObject({ sizeBytes: 100_000 });
  });

  test("silence in a body or a listing ends it", async () => {
    const inner = await temporaryStore();
    await inner.put("key", [Buffer.alloc(10)]);
    let closed = 0;
    const silent = {
      [Symbol.asyncIterator]: () => ({
        next: async () => never,
        return: async () => {
          closed++;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const stuck = interceptStore(inner, {
      listing: () => silent,
      body: (_call, _options, opened) => {
        void discardBody(opened);
        return silent;
      },
    });
    const store = withTimeout(stuck, { idleMs: 20 });

    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject({ code: "store-unavailable" });
    await expect(readObject(store, "key", 100)).rejects.toMatchObject({ code: "store-unavailable" });
    expect(closed).toBe(2);
  });
});

describe("the concurrency limit", () => {
  test("holds back calls over the limit, and frees the place of a failed one", async () => {
    let running = 0;
    let most = 0;
    const counting = interceptStore(await temporaryStore(), {
      call: async (call, options, run) => {
        most = Math.max(most, ++running);
        try {
          if (call.key === "bad") throw new Error("bad");
          return await run(options);
        } finally {
          running--;
        }
      },
    });
    const store = withConcurrencyLimit(counting, 3);

    const results = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => store.put(index % 4 === 0 ? "bad" : `k${index}`, [])),
    );

    expect(most).toBe(3);
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(5);
  });

  test("reading one object to write another works with a single place", async () => {
    const store = withConcurrencyLimit(await temporaryStore(), 1);
    await store.put("a", [Buffer.alloc(600_000, 1)]);
    let index = 0;
    for await (const chunk of (await store.get("a"))?.body ?? []) {
      await store.put(`copy-${index++}`, [chunk]);
    }
    for await (const entry of store.list("copy")) await store.delete(["key" in entry ? entry.key : ""]);

    expect(await Array.fromAsync(store.list("copy"))).toEqual([]);
  });
});

describe("the rate limit", () => {
  function steppingClock(): Clock & { readonly sleeps: number[] } {
    let nowMs = 0;
    const sleeps: number[] = [];
    return {
      sleeps,
      now: () => new Date(nowMs),
      monotonicMs: () => nowMs,
      sleep: async (ms) => {
        sleeps.push(Math.round(ms));
        nowMs += ms;
      },
    };
  }

  test("content waits until it is paid for, in both directions", async () => {
    const clock = steppingClock();
    const store = withRateLimit(await temporaryStore(), {
      writeBytesPerSecond: 1000,
      readBytesPerSecond: 2000,
      clock,
    });

    await store.put("a", [Buffer.alloc(1250)]);
    await store.put("b", [Buffer.alloc(500)]);
    await readObject(store, "a", 2000);
    await store.head("a");

    expect(clock.sleeps).toEqual([1000, 500, 375]);
  });
});

describe("logging", () => {
  test("each call is one debug line, with its failure", async () => {
    const lines: [string, string, LogFields][] = [];
    const inner = faultyStore(await temporaryStore(), { operation: "delete", kind: "denied", failAtCall: 1 });
    const store = withLogging(
      inner,
      createLog((level, message, fields) => lines.push([level, message, { ...fields, durationMs: 0 }])),
    );

    await store.put("a/b", [Buffer.alloc(3)]);
    await readObject(store, "a/b", 10);
    await Array.fromAsync(store.list("a/"));
    await store.delete(["a/b"]).catch(() => undefined);

    expect(lines).toEqual([
      ["debug", "store put", { store: inner.url, durationMs: 0, key: "a/b", bytes: 3 }],
      ["debug", "store get", { store: inner.url, durationMs: 0, key: "a/b" }],
      ["debug", "store get", { store: inner.url, durationMs: 0, key: "a/b", bytes: 3, body: true }],
      ["debug", "store list", { store: inner.url, durationMs: 0, key: "a/", entries: 1 }],
      [
        "debug",
        "store delete",
        { store: inner.url, durationMs: 0, key: "a/b", error: 'injected fault at delete "a/b"' },
      ],
    ]);
  });
});

describe("metrics", () => {
  test("calls, errors and bytes are counted by operation", async () => {
    const metrics = createStoreMetrics();
    const inner = faultyStore(await temporaryStore(), { operation: "put", failAtCall: 2 });
    const store = withMetrics(inner, metrics);

    await store.put("a", [Buffer.alloc(300)]);
    await store.put("b", [Buffer.alloc(300)]).catch(() => undefined);
    await readObject(store, "a", 1000);
    await Array.fromAsync(store.list(""));

    expect(metrics.put).toMatchObject({ calls: 2, errors: 1, bytes: 300 });
    expect(metrics.get).toMatchObject({ calls: 1, errors: 0, bytes: 300 });
    expect(metrics.list).toMatchObject({ calls: 1, errors: 0, bytes: 0 });
    expect(metrics.put.durationMs).toBeGreaterThan(0);
  });
});

describe("the faulty store", () => {
  test("after a crash nothing has any effect, and the upload under way is found", async () => {
    const inner = await temporaryStore();
    const store = faultyStore(inner, { kind: "torn-part", operation: "writePart", failAtCall: 2 });
    const upload = await store.startUpload("big", { partBytes: 8 });
    await upload.writePart(0, [Buffer.from("01234567")]);

    await expect(upload.writePart(1, [Buffer.from("89abcdef")])).rejects.toBeInstanceOf(SimulatedCrash);
    await expect(upload.abort()).rejects.toBeInstanceOf(SimulatedCrash);
    await expect(store.put("other", [])).rejects.toBeInstanceOf(SimulatedCrash);
    await expect(Array.fromAsync(store.list(""))).rejects.toBeInstanceOf(SimulatedCrash);

    expect(await Array.fromAsync(inner.list(""))).toEqual([]);
    const abandoned = await Array.fromAsync(inner.abandonedUploads(""));
    expect(abandoned.map(({ key }) => key)).toEqual(["big"]);
  });

  test("stale listings miss the newest objects, corrupted bodies differ in one bit", async () => {
    const inner = await temporaryStore();
    const stale = faultyStore(inner, { staleKeys: 1 });
    await stale.put("a", [Buffer.from("aaaa")]);
    await stale.put("b", [Buffer.from("bbbb")]);
    const corrupted = faultyStore(inner, { kind: "corrupted-body", failAtCall: 1 });

    expect((await Array.fromAsync(stale.list(""))).map((entry) => "key" in entry && entry.key)).toEqual([
      "a",
    ]);
    expect(String(await readObject(corrupted, "a", 10))).not.toBe("aaaa");
    expect(String(await readObject(corrupted, "a", 10))).toBe("aaaa");
  });

  test("the same seed gives the same faults", async () => {
    const run = async (seed: number): Promise<string> => {
      const store = faultyStore(await temporaryStore(), { probability: 0.5, seed });
      const outcomes: string[] = [];
      for (let call = 0; call < 40; call++) {
        outcomes.push(
          await store.head("x").then(
            () => ".",
            () => "x",
          ),
        );
      }
      return outcomes.join("");
    };

    expect(await run(3)).toBe(await run(3));
    expect(await run(3)).not.toBe(await run(4));
  });
});
