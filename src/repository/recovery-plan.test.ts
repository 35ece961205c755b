import { describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { parseLsn } from "../postgres/lsn.ts";
import type { RecoveryTarget } from "../postgres/recovery-settings.ts";
import { timelineId } from "../postgres/timeline.ts";
import { planRecovery, targetMilliseconds, type PlanFacts, type PlanRequest } from "./recovery-plan.ts";
import { backupEntry, planFacts, type SampleBackup } from "./testing/plan-facts.ts";

const monday: SampleBackup = {
  id: "20261116T030000",
  begin: "0/2000028",
  end: "0/2000138",
  endTime: "2026-11-16T03:00:05.123Z",
};
const tuesday: SampleBackup = {
  id: "20261117T030000",
  begin: "0/6000028",
  end: "0/6000138",
  endTime: "2026-11-17T03:00:05Z",
};
const at = (time: string): RecoveryTarget => ({
  kind: "time",
  time: `2026-11-${time}+00:00`,
  inclusive: true,
});
const toLsn = (text: string): RecoveryTarget => ({ kind: "lsn", lsn: parseLsn(text), inclusive: true });

/** The outcome in one line: `20261116T030000 via 1: 2..9`, or the reason of the refusal. */
function outline(facts: PlanFacts, target: RecoveryTarget, more: Partial<PlanRequest> = {}): string {
  const plan = planRecovery(facts, { target, timeline: "latest", backup: undefined, ...more });
  if (plan.kind === "unreachable") return plan.reason;
  const numbers = plan.segments.map(({ file }) => {
    const digits = file.name.slice(16).replace(/^0+(?=.)/, "");
    return `${file.timeline}:${digits}`;
  });
  return `${plan.backup.id} on ${plan.history.timeline} reads ${numbers[0]} to ${numbers.at(-1)} (${numbers.length})`;
}

describe("on one timeline", () => {
  const facts = planFacts([monday, tuesday], ["1:1-9"]);

  test.each<[string, RecoveryTarget, string]>([
    ["the end", { kind: "latest" }, "20261117T030000 on 1 reads 1:6 to 1:9 (4)"],
    ["a backup alone", { kind: "immediate" }, "20261117T030000 on 1 reads 1:6 to 1:6 (1)"],
    ["just before Tuesday's end", at("17 03:00:04.999999"), "20261116T030000 on 1 reads 1:2 to 1:9 (8)"],
    ["exactly Tuesday's end", at("17 03:00:05.000000"), "20261117T030000 on 1 reads 1:6 to 1:9 (4)"],
    ["a microsecond after Monday's", at("16 03:00:05.123001"), "20261116T030000 on 1 reads 1:2 to 1:9 (8)"],
    [
      "a time before the first backup",
      at("16 03:00:05.122999"),
      'the target 2026-11-16 03:00:05.122999+00:00 is before the end of the first usable backup ("20261116T030000"), 2026-11-16 03:00:05.123+00:00',
    ],
    ["Tuesday's end position", toLsn("0/6000138"), "20261117T030000 on 1 reads 1:6 to 1:7 (2)"],
    ["one byte before it", toLsn("0/6000137"), "20261116T030000 on 1 reads 1:2 to 1:7 (6)"],
    ["a position on a boundary", toLsn("0/8000000"), "20261117T030000 on 1 reads 1:6 to 1:9 (4)"],
    ["the last byte of the archive", toLsn("0/9FFFFFF"), "20261117T030000 on 1 reads 1:6 to 1:9 (4)"],
    [
      "the byte behind the archive",
      toLsn("0/A000000"),
      "the archive ends at 0/A000000, before the target 0/A000000",
    ],
    [
      "a transaction",
      { kind: "xid", xid: "800", inclusive: true },
      "20261116T030000 on 1 reads 1:2 to 1:9 (8)",
    ],
    ["a restore point", { kind: "name", name: "x" }, "20261116T030000 on 1 reads 1:2 to 1:9 (8)"],
  ])("the way to %s", (_, target, expected) => {
    expect(outline(facts, target)).toBe(expected);
  });

  test("a chosen backup is taken, or refused when the target lies before its end", () => {
    const backup = backupEntry(tuesday);

    expect(outline(facts, { kind: "name", name: "x" }, { backup })).toBe(
      "20261117T030000 on 1 reads 1:6 to 1:9 (4)",
    );
    expect(outline(facts, at("17 03:00:00.000000"), { backup })).toBe(
      'the target 2026-11-17 03:00:00.000000+00:00 is before the end of backup "20261117T030000", 2026-11-17 03:00:05.000+00:00',
    );
  });

  test("a restore point that is looked for from the oldest backup is the first of its name, and the plan says so", () => {
    const plan = planRecovery(facts, {
      target: { kind: "name", name: "x" },
      timeline: "latest",
      backup: undefined,
    });
    expect(plan).toMatchObject({
      notes: [expect.stringMatching(/of several restore points of this name the first behind/)],
    });
  });

  test("an empty repository and an unknown timeline are said to be so", () => {
    expect(outline(planFacts([], ["1:1-9"]), { kind: "latest" })).toBe(
      "the repository holds no finished backup",
    );
    expect(outline(facts, { kind: "latest" }, { timeline: timelineId(7) })).toBe(
      "the repository holds no history of timeline 7",
    );
  });
});

describe("holes", () => {
  const facts = planFacts([monday, tuesday], ["1:1-6", "1:8-9"]);

  test("what lies behind a hole is refused, with what can be reached; what lies before is not", () => {
    expect(outline(facts, { kind: "latest" })).toBe(
      'WAL segment "000000010000000000000007" is not in the archive, and the target lies behind it',
    );
    expect(outline(facts, toLsn("0/7000000"))).toBe(
      'WAL segment "000000010000000000000007" is not in the archive, and the target lies behind it',
    );
    expect(outline(facts, toLsn("0/6FFFFFF"))).toBe("20261117T030000 on 1 reads 1:6 to 1:6 (1)");
    expect(outline(facts, { kind: "immediate" })).toBe("20261117T030000 on 1 reads 1:6 to 1:6 (1)");
    expect(outline(facts, at("17 04:00:00.000000"))).toBe("20261117T030000 on 1 reads 1:6 to 1:6 (1)");
  });

  test("a backup whose own WAL is missing is refused, also when nothing at all follows it", () => {
    const missing =
      'backup "20261117T030000" cannot be used: its WAL segment "000000010000000000000006" is not in the archive';
    expect(outline(planFacts([tuesday], ["1:7-9"]), { kind: "latest" })).toBe(missing);
    expect(outline(planFacts([tuesday], ["1:1-5"]), { kind: "latest" })).toBe(missing);
    expect(outline(planFacts([tuesday], []), at("18 00:00:00.000000"))).toBe(missing);
    expect(outline(planFacts([tuesday], []), { kind: "immediate" })).toBe(missing);
  });

  test("a backup that ends exactly on a boundary does not need the segment that begins there", () => {
    const flush = { ...tuesday, end: "0/7000000" };

    expect(outline(planFacts([flush], ["1:6"]), { kind: "immediate" })).toBe(
      "20261117T030000 on 1 reads 1:6 to 1:6 (1)",
    );
    expect(outline(planFacts([flush], ["1:6"]), { kind: "latest" })).toBe(
      "20261117T030000 on 1 reads 1:6 to 1:6 (1)",
    );
  });
});

describe("timelines", () => {
  // Each was left within a segment, and both timelines have that segment under their own names.
  const histories = {
    2: "1\t0/3800000\tfirst restore\n",
    3: "1\t0/3800000\tfirst restore\n2\t0/5800000\tsecond\n",
    4: "1\t0/3800000\tfirst restore\n2\t0/5800000\tsecond\n3\t0/7800000\tthird\n",
    5: "1\t0/3800000\tfirst restore\n2\t0/5800000\tsecond\n3\t0/7800000\tthird\n4\t0/9800000\tfourth\n",
  };
  const ranges = ["1:2-6", "2:3-7", "3:5-9", "4:7-B", "5:9-C"];
  const facts = planFacts([monday], ranges, histories);

  test("five in a row: each segment has the newest timeline that had begun", () => {
    const plan = planRecovery(facts, { target: { kind: "latest" }, timeline: "latest", backup: undefined });

    if (plan.kind === "unreachable") throw new Error(plan.reason);
    expect(plan.segments.map(({ file }) => `${file.timeline}:${file.name.slice(23)}`)).toEqual([
      "1:2",
      "2:3",
      "2:4",
      "3:5",
      "3:6",
      "4:7",
      "4:8",
      "5:9",
      "5:A",
      "5:B",
      "5:C",
    ]);
    expect(plan.historyIsStored).toBe(true);
  });

  test("a timeline that was left goes on by itself", () => {
    expect(outline(facts, { kind: "latest" }, { timeline: timelineId(1) })).toBe(
      "20261116T030000 on 1 reads 1:2 to 1:6 (5)",
    );
    expect(outline(facts, { kind: "latest" }, { timeline: timelineId(3) })).toBe(
      "20261116T030000 on 3 reads 1:2 to 3:9 (8)",
    );
  });

  test("a backup taken after its timeline was left is on no other timeline's path", () => {
    const late: SampleBackup = { id: "20261118T030000", begin: "0/4000028", end: "0/4000138" };
    const withLate = planFacts([monday, late], ranges, histories);

    expect(outline(withLate, { kind: "latest" })).toMatch(/^20261116T030000 on 5/);
    expect(outline(withLate, { kind: "latest" }, { timeline: timelineId(1) })).toMatch(
      /^20261118T030000 on 1/,
    );
    expect(
      outline(withLate, { kind: "latest" }, { backup: backupEntry(late), timeline: timelineId(2) }),
    ).toBe('backup "20261118T030000" on timeline 1 does not lead to timeline 2');
  });

  test("a backup that ends exactly where its timeline was left is on the path; one byte later it is not", () => {
    const history = { 2: "1\t0/2000138\tleft\n" };
    expect(outline(planFacts([monday], ["1:2", "2:2-4"], history), { kind: "latest" })).toBe(
      "20261116T030000 on 2 reads 2:2 to 2:4 (3)",
    );
    const earlier = { 2: "1\t0/2000137\tleft\n" };
    expect(outline(planFacts([monday], ["1:2", "2:2-4"], earlier), { kind: "latest" })).toBe(
      "20261116T030000 on 1 reads 1:2 to 1:2 (1)",
    );
  });

  test("a newer switch that lies before an older one cuts the timelines between off", () => {
    // Timeline 3 followed 2 but stopped before 2 had begun: it has nothing of 2, and of 1 only up to 0/2000100.
    const cut = { 2: "1\t0/3800000\tx\n", 3: "1\t0/3800000\tx\n2\t0/2000100\ty\n" };

    expect(outline(planFacts([monday], ["1:2-4", "2:3-5", "3:2-6"], cut), { kind: "latest" })).toBe(
      "20261116T030000 on 2 reads 1:2 to 2:5 (4)",
    );
  });

  test("a parent's segment past the switch never stands in for the child's", () => {
    const missing = planFacts([monday], ["1:2-6", "2:4-6"], { 2: "1\t0/3800000\tx\n" });
    expect(outline(missing, { kind: "latest" })).toBe(
      'WAL segment "000000020000000000000003" is not in the archive, and the target lies behind it',
    );

    const notYet = planFacts([monday], ["1:2-6"], { 2: "1\t0/3800000\tx\n" });
    expect(outline(notYet, { kind: "latest" })).toBe(
      'the archive does not yet hold the WAL with which timeline 2 left timeline 1 at 0/3800000: PostgreSQL would replay "000000010000000000000003" instead, which goes on past that point',
    );
    expect(outline(notYet, toLsn("0/2800000"))).toBe("20261116T030000 on 2 reads 1:2 to 1:2 (1)");
    expect(outline(notYet, { kind: "immediate" })).toBe("20261116T030000 on 2 reads 1:2 to 1:2 (1)");
    expect(outline(planFacts([monday], ["1:2"], { 2: "1\t0/3800000\tx\n" }), { kind: "latest" })).toBe(
      "20261116T030000 on 2 reads 1:2 to 1:2 (1)",
    );
  });

  test("a damaged history file stops a plan along its timeline, and no other", () => {
    const damaged = new EngineError("postgres-format", "the history file of timeline 2 is invalid");
    const broken = planFacts([monday], ["1:2-4", "2:3-5", "3:3-6"], { 3: "1\t0/3800000\tx\n" });
    const withDamage = { ...broken, damagedHistories: new Map([[timelineId(2), damaged]]) };
    const along = (timeline: PlanRequest["timeline"]) => () =>
      outline(withDamage, { kind: "latest" }, { timeline });

    expect(along(timelineId(1))()).toBe("20261116T030000 on 1 reads 1:2 to 1:4 (3)");
    expect(along("latest")()).toBe("20261116T030000 on 3 reads 1:2 to 3:6 (5)");
    expect(along(timelineId(2))).toThrow(
      expect.objectContaining({ code: "postgres-format", message: damaged.message }),
    );
    const newest = new Map([[timelineId(4), damaged]]);
    expect(() => outline({ ...broken, damagedHistories: newest }, { kind: "latest" })).toThrow(
      damaged.message,
    );
  });

  test("a timeline without its history file is its backup's own, and the plan says that the file is missing", () => {
    const backup: SampleBackup = { ...monday, timeline: 2 };
    const plan = planRecovery(planFacts([backup], ["2:2-3"]), {
      target: { kind: "latest" },
      timeline: "latest",
      backup: undefined,
    });

    expect(plan).toMatchObject({ kind: "reachable", historyIsStored: false, history: { timeline: 2 } });
  });
});

test("segments of 1 MiB and of 1 GiB are counted by their size", () => {
  const mib = 1024 * 1024;
  const small = planFacts([{ id: monday.id, begin: "0/200028", end: "0/200138" }], ["1:2-5"], {}, mib);
  const large = planFacts(
    [{ id: monday.id, begin: "0/80000028", end: "0/80000138" }],
    ["1:2-5"],
    {},
    1024 * mib,
  );

  expect(outline(small, toLsn("0/4FFFFF"))).toBe("20261116T030000 on 1 reads 1:2 to 1:5 (4)");
  expect(outline(large, toLsn("0/FFFFFFFF"))).toBe("20261116T030000 on 1 reads 1:2 to 1:0 (3)");
});

test("microseconds of a target are cut, so that a backup that ended in the same millisecond is not left out wrongly", () => {
  expect(targetMilliseconds("2026-11-16 03:00:05.123999+00:00")).toBe(Date.UTC(2026, 10, 16, 3, 0, 5, 123));
});
