import { expect, test } from "vitest";
import type { ClusterObject } from "./cluster-resource.ts";
import { restoreFailure } from "./restore-failure.ts";

function restoring(state: string, error?: string): ClusterObject {
  const instance = { name: "new-1", role: "primary", state, ...(error === undefined ? {} : { error }) };
  return {
    metadata: { name: "new", namespace: "prod", uid: "u1" },
    spec: {},
    status: {
      phase: "Setting up primary",
      instances: 1,
      readyInstances: 0,
      conditions: [],
      tidemark: { aside: [], stores: [], instances: [instance] },
    },
  };
}

test("an instance that was given up ends the waiting, with its reason and what can be done", () => {
  expect(restoreFailure(restoring("failed", "the archive ends at 0/8000000"))).toMatchObject({
    code: "postgres-failed",
    message: "Cluster prod/new is not restored: the archive ends at 0/8000000",
    hint: "It is tried again by itself: tidemark status new -n prod shows it; tidemark delete cluster new -n prod gives it up.",
  });
});

test("one that is at work does not", () => {
  expect(restoreFailure(restoring("bootstrapping"))).toBeUndefined();
  expect(restoreFailure(restoring("running", "a store does not answer"))).toBeUndefined();
});

test("neither does one whose port somebody else has taken: it gets another one by itself", () => {
  const error = "the server ended with status 1; its log ends: FATAL:  could not create any TCP/IP sockets";

  expect(restoreFailure(restoring("failed", error))).toBeUndefined();
});
