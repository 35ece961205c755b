import { describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { RepositoryLane } from "./repository-lane.ts";

const full = () => {
  const lane = new RepositoryLane(2);
  lane.begin("a", 0);
  lane.begin("b", 0);
  return lane;
};

describe("whether the others wait for a repository", () => {
  test("no, while it has room", () => {
    const lane = new RepositoryLane(2);
    lane.begin("a", 0);

    expect(lane.worthWaitingUntilMs(0)).toBeUndefined();
    expect(lane.availableAtMs(5)).toBe(5);
  });

  test("for a second without a break, and then not for a minute", () => {
    const lane = full();

    expect(lane.availableAtMs(0)).toBe(Number.POSITIVE_INFINITY);
    expect(lane.worthWaitingUntilMs(100)).toBe(1100);
    expect(lane.worthWaitingUntilMs(1000)).toBe(1100);
    expect(lane.worthWaitingUntilMs(1100)).toBeUndefined();
    lane.end("a", 1200);
    lane.begin("c", 1200);
    expect(lane.worthWaitingUntilMs(61_000)).toBeUndefined();
    expect(lane.worthWaitingUntilMs(62_000)).toBe(63_000);
  });

  test("for four of ten seconds in all, however often it gets a place free in between", () => {
    const lane = full();
    let nowMs = 0;
    let waits = 0;
    while (lane.worthWaitingUntilMs(nowMs) !== undefined) {
      nowMs += 500;
      lane.end("b", nowMs);
      lane.begin("b", nowMs);
      waits++;
    }

    expect(waits).toBe(8);
  });

  test("not at all, when it fails", () => {
    const lane = full();
    lane.health.failed(new EngineError("store-unavailable", "down"), {
      nowMs: 0,
      time: new Date(0),
      random: 0,
    });

    expect(lane.worthWaitingUntilMs(1)).toBeUndefined();
  });
});
