import { expect, test } from "vitest";
import { parseLsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { targetTimeMicros } from "../postgres/recovery-settings-time.ts";
import { planRecovery, type RecoveryPlan } from "../repository/recovery-plan.ts";
import { planFacts } from "../repository/testing/plan-facts.ts";
import { checkReach, formatMicros } from "./plan-reach.ts";
import type { WalEnd } from "./wal-end.ts";

const newestTime = "2026-11-21 11:00:00.500000+00:00";

function planTo(target: RecoveryTarget, ranges = ["1:2-9"]): RecoveryPlan {
  const facts = planFacts([{ id: "20261121T090000", begin: "0/2000028", end: "0/2000138" }], ranges);
  const plan = planRecovery(facts, { target, timeline: "latest", backup: undefined });
  if (plan.kind === "unreachable") throw new Error(plan.reason);
  return plan;
}

function endOf(newest: string | undefined, more: Partial<WalEnd> = {}): WalEnd {
  return {
    endLsn: parseLsn("0/9000200"),
    lastRecordLsn: parseLsn("0/90001C8"),
    newest:
      newest === undefined
        ? undefined
        : {
            kind: "transaction",
            lsn: parseLsn("0/9000100"),
            outcome: "commit",
            prepared: false,
            xid: 800,
            timeMicros: targetTimeMicros(newest),
          },
    segmentsRead: 1,
    readAll: false,
    ...more,
  };
}

const time = (text: string, inclusive = true): RecoveryTarget => ({ kind: "time", time: text, inclusive });

test.each<[string, boolean, boolean]>([
  ["2026-11-21 11:00:00.499999+00:00", true, true],
  ["2026-11-21 11:00:00.499999+00:00", false, true],
  [newestTime, true, false],
  [newestTime, false, true],
  ["2026-11-21 11:00:00.500001+00:00", false, false],
])("the time %s (inclusive: %s) is reachable: %s", (text, inclusive, reachable) => {
  const target = time(text, inclusive);
  expect(checkReach(planTo(target), endOf(newestTime)).kind).toBe(reachable ? "reachable" : "unreachable");
});

test("a time behind the last transaction is refused with the newest time there is", () => {
  const target = time("2026-11-21 12:00:00.000000+00:00");

  expect(checkReach(planTo(target), endOf(newestTime))).toEqual({
    kind: "unreachable",
    reason:
      "the newest transaction in the archive ended at 2026-11-21 11:00:00.500000+00:00, not after the target 2026-11-21 12:00:00.000000+00:00",
    hint: "To restore everything there is, restore to the end of the archive (latest). The newest time that can be given is just before 2026-11-21 11:00:00.500000+00:00; has the server archived its last WAL (pg_switch_wal)?",
  });
});

test("a time behind a hole names the missing segment", () => {
  const target = time("2026-11-21 12:00:00.000000+00:00");

  expect(checkReach(planTo(target, ["1:2-5", "1:7-9"]), endOf(newestTime))).toMatchObject({
    reason: expect.stringMatching(
      /^WAL segment "000000010000000000000006" is not in the archive, and the newest/,
    ) as string,
  });
});

test("without a transaction in the last segments the time of storing decides, and a doubt is left", () => {
  // The segments of these facts were stored at 12:00.
  const late = time("2026-11-21 12:00:00.000001+00:00");
  const before = time("2026-11-21 11:59:00.000000+00:00");

  expect(checkReach(planTo(late), endOf(undefined, { segmentsRead: 8 }))).toMatchObject({
    kind: "unreachable",
    reason: expect.stringMatching(
      /was stored at 2026-11-21 12:00:00.000000\+00:00, before the target/,
    ) as string,
  });
  expect(checkReach(planTo(before), endOf(undefined, { segmentsRead: 8 }))).toEqual({
    kind: "reachable",
    notes: [
      "no transaction ended in the last 8 segments, so the target is reached only if one before them ended after it; otherwise PostgreSQL ends recovery with an error",
    ],
  });
  expect(checkReach(planTo(before), endOf(undefined, { readAll: true }))).toMatchObject({
    kind: "unreachable",
  });
});

test.each<[string, boolean]>([
  ["0/90001C8", true],
  ["0/90001C9", false],
  ["0/9000200", false],
])("position %s is reachable: %s, since a record must start there or later", (text, reachable) => {
  for (const inclusive of [true, false]) {
    const target: RecoveryTarget = { kind: "lsn", lsn: parseLsn(text), inclusive };
    expect(checkReach(planTo(target), endOf(undefined)).kind).toBe(reachable ? "reachable" : "unreachable");
  }
});

test("what only replay can tell is left as a doubt", () => {
  for (const target of [
    { kind: "xid", xid: "800", inclusive: true },
    { kind: "name", name: "x" },
  ] as const) {
    expect(checkReach(planTo(target), endOf(undefined))).toMatchObject({
      kind: "reachable",
      notes: [expect.stringMatching(/is not known before it is replayed$/)],
    });
  }
  expect(checkReach(planTo({ kind: "latest" }), endOf(undefined))).toEqual({ kind: "reachable", notes: [] });
});

test("microseconds are kept", () => {
  expect(formatMicros(targetTimeMicros("2026-11-21 11:00:00.000007+00:00"))).toBe(
    "2026-11-21 11:00:00.000007+00:00",
  );
});
