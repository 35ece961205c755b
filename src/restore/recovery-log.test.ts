import { describe, expect, test } from "vitest";
import { parseLsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { hintForFailure, readRecoveryLog } from "./recovery-log.ts";
import { whyMissed } from "./verify-target.ts";

const prefix = "2026-11-21 12:00:00.123 UTC [4711] app=";

describe("a server's log", () => {
  test("says where and why recovery ended, whatever stands before the severity", () => {
    const text = [
      "LOG:  starting point-in-time recovery to 2026-11-21 11:00:00+00",
      "FATAL:  the database system is starting up",
      'FATAL:  password authentication failed for user "monitor"',
      "LOG:  recovery stopping before commit of transaction 745, time 2026-11-21 11:00:00.5+00",
      "LOG:  redo done at 0/3000140 system usage: CPU: user: 0.00 s",
      "LOG:  last completed transaction was at log time 2026-11-21 10:59:59.25+00",
      "LOG:  selected new timeline ID: 2",
      "LOG:  archive recovery complete",
    ].map((line) => prefix + line);

    expect(readRecoveryLog(text.join("\n"))).toEqual({
      stop: "before commit of transaction 745, time 2026-11-21 11:00:00.5+00",
      redoDoneLsn: parseLsn("0/3000140"),
      lastTransactionTime: "2026-11-21 10:59:59.25+00",
      newTimeline: 2,
      paused: false,
      shutdownAtTarget: false,
      failure: undefined,
      stuck: undefined,
    });
  });

  test("names the first failure, and what holds recovery up", () => {
    const failed = `${prefix}FATAL:  recovery ended before configured recovery target was reached\n${prefix}FATAL:  other`;
    expect(readRecoveryLog(failed).failure).toBe(
      "recovery ended before configured recovery target was reached",
    );
    const stuck = `${prefix}WARNING:  hot standby is not possible because of insufficient parameter settings`;
    expect(readRecoveryLog(stuck)).toMatchObject({
      failure: undefined,
      stuck: "hot standby is not possible because of insufficient parameter settings",
    });
  });

  test.each([
    ["recovery ended before configured recovery target was reached", /--to-latest/],
    [
      'could not restore file "000000010000000000000004" from archive: child process exited with exit code 150',
      /not reachable/,
    ],
    ["requested recovery stop point is before consistent recovery point", /older backup/],
    ["WAL ends before end of online backup", /another backup/],
    ["something new", /^$/],
  ])("%s has its hint", (failure, hint) => {
    expect(hintForFailure(failure) ?? "").toMatch(hint);
  });
});

describe("whether the target was reached", () => {
  const miss = (target: RecoveryTarget, stop: string | undefined, reached?: string, expected?: string) =>
    whyMissed(
      target,
      {
        log: { ...readRecoveryLog(""), stop },
        reachedLsn: reached === undefined ? undefined : parseLsn(reached),
      },
      expected === undefined ? undefined : parseLsn(expected),
    );
  const time = (inclusive: boolean): RecoveryTarget => ({
    kind: "time",
    time: "2026-11-21 11:00:00.500000+00:00",
    inclusive,
  });

  test.each<[string, RecoveryTarget, string]>([
    ["time", time(true), "before commit of transaction 7, time 2026-11-21 11:00:00.500001+00"],
    ["time in another zone", time(true), "before abort of transaction 7, time 2026-11-21 16:30:00.6+05:30"],
    ["exclusive time", time(false), "before commit of transaction 7, time 2026-11-21 11:00:00.5+00"],
    [
      "position",
      { kind: "lsn", lsn: parseLsn("0/3000140"), inclusive: true },
      'after WAL location (LSN) "0/3000140"',
    ],
    [
      "position where no record starts",
      { kind: "lsn", lsn: parseLsn("0/3000000"), inclusive: false },
      'before WAL location (LSN) "0/3000028"',
    ],
    ["transaction", { kind: "xid", xid: "745", inclusive: true }, "after commit of transaction 745, time x"],
    [
      "prepared one",
      { kind: "xid", xid: 745n, inclusive: false },
      "before commit of prepared transaction 745, time x",
    ],
    ["restore point", { kind: "name", name: "a b" }, 'at restore point "a b", time x'],
    ["consistency", { kind: "immediate" }, "after reaching consistency"],
  ])("%s: reached", (_, target, stop) => {
    expect(miss(target, stop)).toBeUndefined();
  });

  test.each<[string, RecoveryTarget, string | undefined]>([
    ["time too early", time(true), "before commit of transaction 7, time 2026-11-21 11:00:00.5+00"],
    [
      "earlier position",
      { kind: "lsn", lsn: parseLsn("0/3000141"), inclusive: true },
      'after WAL location (LSN) "0/3000140"',
    ],
    [
      "another transaction",
      { kind: "xid", xid: "74", inclusive: true },
      "after commit of transaction 745, time x",
    ],
    ["no stop at all", { kind: "immediate" }, undefined],
  ])("%s: missed", (_, target, stop) => {
    expect(miss(target, stop)).toMatch(/recovery (ended|stopped)/);
  });

  test("the end of WAL is where the plan saw it, or behind", () => {
    expect(miss({ kind: "latest" }, undefined, "0/3000140", "0/3000140")).toBeUndefined();
    expect(miss({ kind: "latest" }, undefined, "0/4000000", "0/3000140")).toBeUndefined();
    expect(miss({ kind: "latest" }, undefined, "0/3000000", "0/3000140")).toBe(
      "recovery ended at 0/3000000, but the archive's WAL goes to 0/3000140",
    );
  });
});
