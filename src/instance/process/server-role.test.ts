import { describe, expect, test } from "vitest";
import { decideRole, type RoleFacts } from "./server-role.ts";

/** A former primary that was stopped cleanly and is told to follow. */
const demoted: RoleFacts = {
  wanted: "standby",
  specVersion: 3,
  promotedAtVersion: undefined,
  isStandby: false,
  state: "shut down",
};

describe("a server that is about to start", () => {
  test.each([
    ["becomes a standby when it was a primary that was stopped cleanly", {}, "make-standby"],
    ["is refused as a standby when it was a primary that crashed", { state: "in production" }, "refuse"],
    ["is refused as a standby when it crashed while it recovered", { state: "in crash recovery" }, "refuse"],
    ["is refused as a standby when it crashed while it stopped", { state: "shutting down" }, "refuse"],
    ["stays a standby", { isStandby: true, state: "shut down in recovery" }, "as-it-is"],
    ["stays a standby that crashed", { isStandby: true, state: "in archive recovery" }, "as-it-is"],
    [
      "stays a standby until it is promoted, whatever is wanted",
      { isStandby: true, wanted: "primary" },
      "as-it-is",
    ],
    ["stays a primary", { wanted: "primary" }, "as-it-is"],
    ["stays a primary that crashed", { wanted: "primary", state: "in production" }, "as-it-is"],
    ["stays what it was promoted to while nobody knows of it", { promotedAtVersion: 3 }, "as-it-is"],
    ["stays that after a crash as well", { promotedAtVersion: 3, state: "in production" }, "as-it-is"],
    ["becomes a standby again by a later word", { promotedAtVersion: 2 }, "make-standby"],
  ] as const)("%s", (_title, change, decision) => {
    expect(decideRole({ ...demoted, ...change })).toEqual({ kind: decision });
  });
});
