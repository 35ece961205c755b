import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { requireWalFileName } from "../archive/wal-file.ts";
import { segmentName } from "../archive/testing/wal-files.ts";
import { ackTime } from "./ack.ts";
import { checkPolicy, isPolicyMet, parseArchivePolicy } from "./archive-policy.ts";
import { Backlog, type BacklogEntry } from "./backlog.ts";
import { diskFullInMs, DrainMeter } from "./drain-meter.ts";
import { RepositoryHealth } from "./repository-health.ts";

const always = {
  availableAtMs: () => 0,
  hasRoom: () => true,
  worthWaitingUntilMs: () => undefined,
  isEnough: () => true,
};
const takes = (entry: BacklogEntry, repositories = ["main"]) => {
  for (const name of repositories) entry.onTheWay.add(name);
};
const down = new EngineError("store-unavailable", "down");

describe("the order of archiving", () => {
  test("is: wanted files, history files, then the oldest as PostgreSQL's archiver has it", () => {
    const backlog = new Backlog(["main"]);
    const names = [
      segmentName(9),
      segmentName(2, { timeline: 2 }),
      segmentName(5),
      "00000002.history",
      segmentName(7),
    ];
    for (const name of names) backlog.add(requireWalFileName(name));
    backlog.want(requireWalFileName(segmentName(7)), 0);

    const order: string[] = [];
    for (let job = backlog.next(0, always); "entry" in job; job = backlog.next(0, always)) {
      order.push(job.entry.file.name);
      takes(job.entry);
    }

    expect(order).toEqual([
      segmentName(7),
      "00000002.history",
      segmentName(5),
      segmentName(9),
      segmentName(2, { timeline: 2 }),
    ]);
  });

  test("stays the same through any changes as if it were sorted anew", () => {
    const change = fc.record({
      kind: fc.constantFrom("add", "add", "remove", "want", "answer"),
      number: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
        const backlog = new Backlog(["main"]);
        for (const { kind, number } of changes) {
          const file = requireWalFileName(segmentName(number + 1));
          const entry = backlog.get(file.name);
          if (kind === "add") backlog.add(file);
          else if (kind === "remove") backlog.remove(file.name);
          else if (kind === "want") backlog.want(file, 0);
          else if (entry !== undefined) backlog.answered(entry);
          // Asking puts it in order, so that single changes are made to an order that is there.
          if (number % 3 === 0) backlog.next(0, always);
        }
        const expected = [...backlog.entries]
          .sort(
            (a, b) => (a.wantedTurn ?? 1e9) - (b.wantedTurn ?? 1e9) || (a.file.name < b.file.name ? -1 : 1),
          )
          .map(({ file }) => file.name);
        const order: string[] = [];
        for (let job = backlog.next(0, always); "entry" in job; job = backlog.next(0, always)) {
          order.push(job.entry.file.name);
          takes(job.entry);
        }
        expect(order).toEqual(expected);
      }),
    );
  });

  test("of fifty thousand files stays quick while PostgreSQL takes note of them one by one", () => {
    const backlog = new Backlog(["main"]);
    for (let number = 50_000; number > 0; number--) backlog.add(requireWalFileName(segmentName(number)));
    backlog.next(0, always);
    const started = performance.now();

    for (let turn = 0; turn < 200; turn++) {
      const job = backlog.next(0, always);
      if ("entry" in job) backlog.remove(job.entry.file.name);
      backlog.add(requireWalFileName(segmentName(60_000 + turn)));
    }
    // Sorting anew each time takes twenty seconds.
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test("leaves out repositories that pause or have the file, and says when to come back", () => {
    const backlog = new Backlog(["a", "b"]);
    const health = {
      ...always,
      availableAtMs: (name: string) => (name === "b" ? 500 : 0),
      isEnough: () => false,
    };
    const entry = backlog.add(requireWalFileName(segmentName(1)));

    expect(backlog.next(100, health)).toMatchObject({ repositories: ["a"] });
    entry.done.add("a");
    expect(backlog.next(100, health)).toEqual({ atMs: 500 });
    expect(backlog.next(500, health)).toMatchObject({ repositories: ["b"] });
    backlog.want(entry.file, 100);
    expect(backlog.next(100, health)).toMatchObject({ repositories: ["b"] });
  });

  test("of ten thousand files is quick", () => {
    const backlog = new Backlog(["main"]);
    for (let number = 10_000; number > 0; number--) backlog.add(requireWalFileName(segmentName(number)));
    const started = performance.now();

    for (let turn = 0; turn < 100; turn++) {
      const job = backlog.next(0, always);
      if ("entry" in job) backlog.remove(job.entry.file.name);
    }

    expect(performance.now() - started).toBeLessThan(5000);
    expect(backlog.next(0, always)).toMatchObject({ entry: { file: { name: segmentName(101) } } });
  });
});

describe("the health of a repository", () => {
  test("pauses longer with each failure up to half a minute, tries with one push, and recovers at once", () => {
    const health = new RepositoryHealth();
    const pauses: number[] = [];
    let nowMs = 0;
    for (let failure = 0; failure < 8; failure++) {
      health.started();
      health.failed(down, { nowMs, time: new Date(0), random: 0.5 });
      pauses.push(health.availableAtMs(nowMs) - nowMs);
      nowMs = health.availableAtMs(nowMs);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);

    health.started();
    expect(health.availableAtMs(nowMs)).toBe(Number.POSITIVE_INFINITY);
    health.succeeded();
    expect(health.availableAtMs(nowMs)).toBe(nowMs);
    expect(health.report()).toEqual({ state: "ok", failures: 0, error: undefined, failingSince: undefined });
  });

  test("counts pushes that fail together as one failure", () => {
    const health = new RepositoryHealth();
    for (let push = 0; push < 5; push++) health.failed(down, { nowMs: 10, time: new Date(0), random: 0.5 });

    expect(health.report().failures).toBe(1);
  });
});

test("an acknowledgement's time is the next full second after the file's, not the time of today", () => {
  expect(ackTime(1_000_000_000n)).toEqual(new Date(2000));
  expect(ackTime(1_999_999_999n)).toEqual(new Date(2000));
});

test("a policy is met by all, by so many, or by those named, and an impossible one is refused", () => {
  const all = ["a", "b", "c"];
  expect(isPolicyMet("all", all, new Set(["a", "b"]))).toBe(false);
  expect(isPolicyMet("all", all, new Set(all))).toBe(true);
  expect(isPolicyMet(2, all, new Set(["a", "c"]))).toBe(true);
  expect(isPolicyMet(["b"], all, new Set(["a", "c"]))).toBe(false);
  expect(() => checkPolicy(4, all)).toThrow(/asks for 4 repositories, and there are 3/);
  expect(() => checkPolicy(["d"], all)).toThrow(/there is no repository "d"/);
  expect(() => checkPolicy("all", [])).toThrow(/no repository to archive to/);
  expect(() => checkPolicy("all", ["a", "a"])).toThrow(/same name/);
});

test("a policy is read as people write it", () => {
  expect(["all", "any", "2", "near", "near, far"].map(parseArchivePolicy)).toEqual([
    "all",
    1,
    2,
    ["near"],
    ["near", "far"],
  ]);
});

test("rates are those of the recent past", () => {
  const meter = new DrainMeter();
  for (let second = 0; second <= 10; second++) {
    meter.drained(second * 1000);
    meter.backlog(second * 1000, second * 100);
  }

  expect(meter.drainPerSecond(10_000)).toBeCloseTo(1.1);
  expect(meter.growthBytesPerSecond(10_000)).toBe(100);
  expect(meter.drainPerSecond(100_000)).toBe(0);
  expect(diskFullInMs(1000, 100)).toBe(10_000);
  expect(diskFullInMs(1000, -5)).toBeUndefined();
});
