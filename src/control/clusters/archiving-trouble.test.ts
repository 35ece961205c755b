import { describe, expect, test } from "vitest";
import type { AgentStatus } from "../../agent/agent-status.ts";
import { archivingStatus } from "../servers/testing/sample-server.ts";
import { archivingTrouble, isTakenBySomeStore } from "./archiving-trouble.ts";
import { archivingCondition } from "./cluster-report.ts";

test("rescued WAL that does not reach the archive is a trouble, whatever else does", () => {
  const rescue = { key: "k", state: "done", waitingFiles: 2 } as const;

  expect(archivingTrouble({ rescue })).toBeUndefined();
  expect(archivingTrouble({ rescue: { ...rescue, archivingError: "no answer within 60 s" } })).toBe(
    "WAL of a primary that is gone is not in the archive yet: no answer within 60 s",
  );
});

describe("a store that fails", () => {
  const of = (policy: AgentStatus["policy"], failing: readonly string[], names = ["a", "b", "c"]) => ({
    archiving: archivingStatus({
      policy,
      repositories: names.map((name) => ({
        name,
        url: `/${name}`,
        server: "pg",
        failures: 0,
        owedFiles: 0,
        ...(failing.includes(name)
          ? { state: "failing", error: { code: "store-missing", message: `no ${name}`, at: "" } }
          : { state: "ok" }),
      })),
    }),
  });

  test.each<[string, ReturnType<typeof of>, string | undefined]>([
    ["one of all", of("all", ["b"]), 'store "b": no b'],
    ["two of all", of("all", ["a", "b"]), 'store "a": no a; store "b": no b'],
    ["the only one", of("all", ["a"], ["a"]), "no a"],
    ["two where any one does", of(1, ["a", "b"]), undefined],
    ["all where any one does", of(1, ["a", "b"], ["a", "b"]), 'store "a": no a; store "b": no b'],
    ["two where two must have it", of(2, ["a", "b"]), 'store "a": no a; store "b": no b'],
    ["one that is not named", of(["a"], ["b", "c"]), undefined],
    ["one that is named", of(["a"], ["a"]), 'store "a": no a'],
  ])("is a trouble as the policy says: %s", (_title, status, trouble) => {
    expect(archivingTrouble(status)).toBe(trouble);
    expect(archivingCondition(status)?.status).toBe(trouble === undefined ? "True" : "False");
  });

  test("is named also where the policy is met without it", () => {
    expect(archivingCondition(of(1, ["b"]))).toMatchObject({
      status: "True",
      message: 'Continuous archiving is working as the archive policy asks, but not in store "b": no b',
    });
  });

  test("leaves to base backups what the others take", () => {
    expect(isTakenBySomeStore(of("all", ["b"]))).toBe(true);
    expect(isTakenBySomeStore(of("all", ["a", "b", "c"]))).toBe(false);
    // Then it is something else that keeps WAL from being archived.
    expect(isTakenBySomeStore(of("all", []))).toBe(false);
    const refused = [{ name: "1", code: "wal-conflict", message: "a conflict" }];
    expect(isTakenBySomeStore({ archiving: { ...of("all", ["b"]).archiving, refused } })).toBe(false);
  });
});
