import { expect, test } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { EngineError } from "../../common/errors.ts";
import { createLog } from "../../common/log.ts";
import { InstanceLife } from "./instance-life.ts";

function lifeAt() {
  const time = { ms: 0 };
  const lines: string[] = [];
  const clock = {
    ...systemClock,
    now: () => new Date(Date.UTC(2026, 10, 21) + time.ms),
    monotonicMs: () => time.ms,
  };
  const log = createLog((level, message) => lines.push(`${level}: ${message}`));
  return { time, lines, life: new InstanceLife({ clock, log }) };
}

test("a failure says why and when it is tried again, later each time, until something goes well for a minute", () => {
  const { time, life, lines } = lifeAt();

  life.fail("could not start", new EngineError("postgres-failed", "no luck", { hint: "Look at its log." }));
  expect(life.report).toEqual({
    phase: "failed",
    activity: undefined,
    error: { code: "postgres-failed", message: "no luck", hint: "Look at its log." },
    retryAt: "2026-11-21T00:00:01.000Z",
  });
  expect(life.restMs).toBe(1000);
  time.ms = 1000;
  expect(life.restMs).toBe(0);
  life.show("starting", "again");
  expect(life.report).toMatchObject({ phase: "starting", activity: "again", retryAt: undefined });
  expect(life.report.error?.message).toBe("no luck");
  life.fail("could not start", new Error("again"));
  expect([life.restMs, life.report.error]).toEqual([2000, { code: "internal", message: "again" }]);
  life.show("running");
  expect(life.report.error).toBeUndefined();
  life.fail("ended", new Error("later"), { ranMs: 60_000 });
  expect(life.restMs).toBe(1000);
  expect(lines).toEqual(["error: could not start", "error: could not start", "error: ended"]);
});

test("what was refused rests for a minute, and is tried at once when something has changed", () => {
  const { life } = lifeAt();

  life.fail("could not restore", new EngineError("target-unreachable", "no"), { atLeastMs: 60_000 });
  expect(life.restMs).toBe(60_000);
  life.retryNow();

  expect(life.restMs).toBe(Number.NEGATIVE_INFINITY);
});
