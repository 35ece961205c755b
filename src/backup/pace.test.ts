import { describe, expect, it } from "vitest";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../common/clock.ts";
import { silentLog } from "../common/log.ts";
import { parseServerName } from "../repository/server-name.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { Destination } from "./destination.ts";
import type { Gate } from "./pace.ts";
import { testBackup } from "./testing/test-backup.ts";

/** Time that passes when a test says so. */
function manualClock() {
  const sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>();
  let nowMs = 0;
  const clock: Clock = {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { dueMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", () => {
          sleepers.delete(sleeper);
          reject(new Error("woken"));
        });
      }),
  };
  const pass = async (ms: number) => {
    nowMs += ms;
    for (const sleeper of sleepers) if (sleeper.dueMs <= nowMs) sleeper.wake();
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };
  return { clock, pass };
}

/** Two repositories of which the second takes nothing; parts that want to go on. */
function slowSecond() {
  const { clock, pass } = manualClock();
  // Nothing is stored here.
  const store = { url: "s3://slow" } as unknown as ObjectStore;
  const [fast, slow] = ["fast", "slow"].map((name) => ({
    name,
    server: parseServerName("pg"),
    store,
    log: silentLog,
  }));
  if (fast === undefined || slow === undefined) throw new Error("there are two");
  const { destinations, pace } = testBackup([fast, slow], { clock, maxBehindBytes: 100, maxHoldUpMs: 1000 });
  const [first, second] = destinations.all;
  if (first === undefined || second === undefined) throw new Error("there are two");
  const gate = (late: readonly Destination[]): Gate => ({
    bytes: 40,
    late: () => late.filter(({ isLive }) => isLive),
    isAnyReady: () => late.length < 2,
  });
  const goOn = async (part: object, late: readonly Destination[]) => {
    let isThrough = false;
    const passed = pace.pass(part, gate(late)).then(() => {
      isThrough = true;
    });
    await setImmediate();
    return { passed, isThrough: () => isThrough };
  };
  return { first, second, pace, pass, goOn };
}

describe("a repository that is slower than the others", () => {
  it("may be behind by the bound, and is waited for beyond it", async () => {
    const { second, pace, goOn } = slowSecond();
    const part = {};
    pace.open(part);

    second.behindBytes = 60;
    const within = await goOn(part, [second]);
    second.behindBytes = 61;
    const beyond = await goOn(part, [second]);

    expect([within.isThrough(), beyond.isThrough()]).toEqual([true, false]);
    second.behindBytes = 20;
    pace.changed();
    await beyond.passed;
  });

  it("is dropped when it has kept all parts waiting for too long in sum, and then they go on", async () => {
    const { second, pace, pass, goOn } = slowSecond();
    const parts = [{}, {}];
    for (const part of parts) pace.open(part);
    second.behindBytes = 100;

    const one = await goOn(parts[0] ?? {}, [second]);
    // The other part goes on, so nobody is held up.
    await pass(5000);
    expect(second.isLive).toBe(true);
    const other = await goOn(parts[1] ?? {}, [second]);
    await pass(600);
    second.behindBytes = 0;
    pace.changed();
    await Promise.all([one.passed, other.passed]);
    await pass(5000);
    expect(second.isLive).toBe(true);
    second.behindBytes = 100;
    const again = await Promise.all(parts.map(async (part) => goOn(part, [second])));
    await pass(399);
    expect(second.isLive).toBe(true);
    await pass(1);

    await Promise.all(again.map(async ({ passed }) => passed));
    expect(second.reason?.message).toBe(
      "s3://slow is too slow: it has kept the other repositories waiting for 1.0 s, and 100 B still wait for it",
    );
  });

  it("holds up nobody while no other one is ready either", async () => {
    const { first, second, pace, pass, goOn } = slowSecond();
    const part = {};
    pace.open(part);
    second.behindBytes = 100;

    const waiting = await goOn(part, [first, second]);
    await pass(10_000);

    expect([waiting.isThrough(), first.isLive, second.isLive]).toEqual([false, true, true]);
  });

  it("is waited for at the end for as long as before", async () => {
    const { first, second, pace, pass } = slowSecond();
    const part = {};
    pace.open(part);
    pace.close(part);
    await pass(10_000);
    expect(second.isLive).toBe(true);

    pace.through(first);
    await pass(1000);

    expect([first.isLive, second.isLive]).toEqual([true, false]);
  });
});
