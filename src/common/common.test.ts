import { describe, expect, it } from "vitest";
import { mapConcurrent, Semaphore } from "./concurrency.ts";
import { describeError, EngineError, fileError } from "./errors.ts";
import { Secret } from "./log.ts";
import { formatBytes, formatDuration, parseBytes } from "./units.ts";

describe("mapConcurrent", () => {
  it("keeps order and never runs more than the limit", async () => {
    let running = 0;
    let most = 0;
    const results = await mapConcurrent([5, 1, 4, 2, 3], 2, async (n) => {
      most = Math.max(most, ++running);
      await new Promise((wake) => setTimeout(wake, n));
      running--;
      return n * 10;
    });

    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it("settles only when everything it started has, and starts nothing after a failure", async () => {
    const finished: number[] = [];
    const work = mapConcurrent([1, 2, 3, 4, 5, 6], 2, async (n) => {
      if (n === 1) throw new Error("first");
      await new Promise((wake) => setTimeout(wake, 20));
      finished.push(n);
    });

    await expect(work).rejects.toThrow("first");
    expect(finished).toEqual([2]);
  });
});

describe("Semaphore", () => {
  it("lets waiters in, first come first served", async () => {
    const gate = new Semaphore(1);
    const order: number[] = [];
    await Promise.all([1, 2, 3].map(async (n) => gate.run(async () => void order.push(n))));

    expect(order).toEqual([1, 2, 3]);
  });
});

describe("errors", () => {
  it("read as one line with their causes", () => {
    const error = new EngineError("file-io", 'could not read "/x"', { cause: new Error("EIO") });

    expect(describeError(error)).toBe('could not read "/x": EIO');
  });

  it("call a full disk a full disk", () => {
    const full = Object.assign(new Error("write"), { code: "ENOSPC" });

    expect(fileError("write", "/x", full).code).toBe("disk-full");
  });
});

describe("units", () => {
  it.each([
    ["64MiB", 67_108_864],
    ["64mb", 67_108_864],
    ["1.5 GiB", 1_610_612_736],
    ["7", 7],
  ])("reads the size %s", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it("refuses what is no size", () => {
    expect(() => parseBytes("12 apples")).toThrow('"12 apples" is not a size');
  });

  it("writes sizes and durations for people", () => {
    expect(formatBytes(1536)).toBe("1.5 KiB");
    expect(formatDuration(83)).toBe("83 ms");
    expect(formatDuration(3_720_000)).toBe("1 h 2 min");
  });
});

describe("Secret", () => {
  it("never prints", () => {
    const secret = new Secret("hunter2");

    expect(String(secret)).toBe("[redacted]");
    expect(JSON.stringify({ secret })).toBe('{"secret":"[redacted]"}');
    expect(secret.reveal()).toBe("hunter2");
  });
});
