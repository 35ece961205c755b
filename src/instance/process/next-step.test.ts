import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextStep, type Step, type StepFacts } from "./next-step.ts";

const healthy: StepFacts = {
  ending: "no",
  wanted: "running",
  isMade: true,
  server: "ready",
  isResting: false,
  isRestartAsked: false,
  isChanged: false,
};

const anyFacts: fc.Arbitrary<StepFacts> = fc.record({
  ending: fc.constantFrom("no", "leave", "stop"),
  wanted: fc.constantFrom("running", "stopped"),
  isMade: fc.boolean(),
  server: fc.constantFrom("none", "starting", "ready"),
  isResting: fc.boolean(),
  isRestartAsked: fc.boolean(),
  isChanged: fc.boolean(),
});

describe("the next step of an instance", () => {
  test.each([
    ["nothing, when all is as it should be", {}, "rest"],
    ["to make the data directory first", { server: "none", isMade: false }, "bootstrap"],
    ["to wait after a bootstrap that failed", { server: "none", isMade: false, isResting: true }, "rest"],
    ["to start the server", { server: "none" }, "start"],
    ["to wait after a start that failed", { server: "none", isResting: true }, "rest"],
    ["to tell the server of a change", { isChanged: true }, "configure"],
    ["to tell it also while it starts", { isChanged: true, server: "starting" }, "configure"],
    ["to restart it, which tells it as well", { isRestartAsked: true, isChanged: true }, "restart"],
    ["to stop it when it is not wanted", { wanted: "stopped" }, "stop"],
    ["to leave it stopped", { wanted: "stopped", server: "none", isChanged: true }, "rest"],
    ["to make nothing that is not wanted", { wanted: "stopped", server: "none", isMade: false }, "rest"],
    ["to end and leave the server", { ending: "leave" }, "end"],
    ["to stop the server before the end", { ending: "stop", server: "starting" }, "stop"],
    ["to end when the server is gone", { ending: "stop", server: "none" }, "end"],
  ] as const)("is %s", (_title, change, step) => {
    expect(nextStep({ ...healthy, ...change })).toBe(step);
  });

  test("never touches a server that it is told to leave, and never starts one that is not wanted", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const runs = facts.server !== "none";
        const isWanted = facts.wanted === "running" && facts.ending === "no";
        const possible: readonly Step[] = runs
          ? ["stop", "restart", "configure"]
          : isWanted
            ? ["bootstrap", "start"]
            : [];

        expect(facts.ending === "leave" ? ["end"] : ["end", "rest", ...possible]).toContain(nextStep(facts));
      }),
    );
  });
});
