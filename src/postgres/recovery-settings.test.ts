import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLsn } from "./lsn.ts";
import { formatRecoverySettings, recoveryParameters, type RecoveryTarget } from "./recovery-settings.ts";
import { timelineId } from "./timeline.ts";

const plan = (target: RecoveryTarget) =>
  formatRecoverySettings({ target, targetTimeline: "latest", restoreCommand: "cp %f %p", action: "promote" });

describe("recovery settings", () => {
  test.each<[RecoveryTarget, string | undefined, string | undefined, string]>([
    [{ kind: "latest" }, undefined, undefined, "true"],
    [{ kind: "immediate" }, "recovery_target", "immediate", "true"],
    [
      { kind: "time", time: "2026-01-15 14:30:00.000001+00:00", inclusive: false },
      "recovery_target_time",
      "2026-01-15 14:30:00.000001+00:00",
      "false",
    ],
    [
      { kind: "lsn", lsn: parseLsn("16/b374d848"), inclusive: true },
      "recovery_target_lsn",
      "16/B374D848",
      "true",
    ],
    [{ kind: "xid", xid: "742", inclusive: true }, "recovery_target_xid", "742", "true"],
    [{ kind: "xid", xid: 4294967295n, inclusive: false }, "recovery_target_xid", "4294967295", "false"],
    [{ kind: "name", name: "before the migration" }, "recovery_target_name", "before the migration", "true"],
  ])("for %o set one target, and after the others are emptied", (target, name, value, inclusive) => {
    const settings = plan(target);

    const targets = Object.entries(settings).filter(([key]) =>
      /^recovery_target(_lsn|_name|_time|_xid)?$/.test(key),
    );
    expect(targets).toHaveLength(5);
    expect(targets.filter(([, text]) => text !== "")).toEqual(name === undefined ? [] : [[name, value]]);
    expect(targets.at(-1)?.[0]).toBe(name ?? "recovery_target_xid");
    expect(settings).toMatchObject({
      recovery_target_inclusive: inclusive,
      recovery_target_timeline: "latest",
      recovery_target_action: "promote",
      restore_command: "cp %f %p",
      archive_cleanup_command: "",
      recovery_end_command: "",
    });
    expect(new Set(Object.keys(settings))).toEqual(recoveryParameters);
  });

  test("name a timeline by its decimal number", () => {
    const settings = formatRecoverySettings({
      target: { kind: "latest" },
      targetTimeline: timelineId(17),
      restoreCommand: "x",
      action: "pause",
    });

    expect(settings["recovery_target_timeline"]).toBe("17");
  });

  test.each<[RecoveryTarget, string]>([
    [{ kind: "xid", xid: "2", inclusive: true }, `recovery target xid "2" is not a transaction ID`],
    [{ kind: "xid", xid: "-5", inclusive: true }, `recovery target xid "-5" is not a transaction ID`],
    [{ kind: "xid", xid: "0x10", inclusive: true }, `recovery target xid "0x10" is not a transaction ID`],
    [
      { kind: "xid", xid: 1n << 32n, inclusive: true },
      `recovery target xid "4294967296" is not a transaction ID`,
    ],
    [{ kind: "name", name: "" }, `recovery target name "" has 0 bytes, not 1 to 63`],
    [
      { kind: "name", name: "é".repeat(32) },
      `recovery target name "${"é".repeat(32)}" has 64 bytes, not 1 to 63`,
    ],
    [{ kind: "name", name: "a\nb" }, `recovery target name "a\\nb" contains a control character`],
    [
      { kind: "time", time: "2026-01-15 14:30:00", inclusive: true },
      `recovery target time "2026-01-15 14:30:00" is not in its canonical form`,
    ],
  ])("%o is refused", (target, message) => {
    expect(() => plan(target)).toThrowError(message);
  });

  test("an xid with its epoch is answered with the 32 bits that WAL holds", () => {
    expect(() => plan({ kind: "xid", xid: (5n << 32n) + 742n, inclusive: true })).toThrowError(
      expect.objectContaining({ code: "usage", hint: "Use its lower 32 bits: 742." }),
    );
  });

  test("an empty restore command is refused", () => {
    expect(() =>
      formatRecoverySettings({
        target: { kind: "latest" },
        targetTimeline: "current",
        restoreCommand: " ",
        action: "promote",
      }),
    ).toThrowError("restore_command is empty");
  });

  test("every 32-bit xid above the reserved ones is taken", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 3n, max: (1n << 32n) - 1n }), (xid) => {
        const target: RecoveryTarget = { kind: "xid", xid, inclusive: true };
        expect(plan(target)["recovery_target_xid"]).toBe(String(xid));
      }),
    );
  });
});
