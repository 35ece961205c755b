import { formatPath, isRecord } from "../../manifest-object.ts";
import type { Rule } from "../rule.ts";
import { listAt, recordAt } from "../world.ts";
import { drillTargetPath, exclusiveTargets } from "./recovery-target-fields.ts";

/** RestoreDrills: that they prove something. */

const path = ["spec", "checks"] as const;

const withoutExpectation: Rule = {
  id: "check-without-expectation",
  severity: "error",
  summary: "a check of a drill that any answer passes",
  explanation:
    "A check runs an SQL statement on the restored server. It proves something only if it says what is right: `result`, what the only row's only column must be, or `minRows`, how many rows there must be at least.",
  *check(world) {
    for (const object of world.ofKind("RestoreDrill")) {
      for (const [index, check] of listAt(object, ...path).entries()) {
        if (!isRecord(check) || check["result"] !== undefined || check["minRows"] !== undefined) continue;
        yield {
          object,
          path: [...path, index],
          message: `${formatPath([...path, index])} says neither result nor minRows: any answer would pass`,
          hint: "Write minRows: 1, for example, or the result that is expected.",
        };
      }
    }
  },
};

const withoutChecks: Rule = {
  id: "drill-without-checks",
  severity: "info",
  summary: "a drill that does not look at the data",
  explanation:
    "Without checks a RestoreDrill proves that the backup and its WAL can be restored, that PostgreSQL reaches the target and opens. Whether what is in it is what you need, only a question to it can tell: `checks` with an SQL statement and what must come out.",
  *check(world) {
    for (const object of world.ofKind("RestoreDrill")) {
      if (listAt(object, ...path).length > 0) continue;
      yield {
        object,
        path: ["spec"],
        message: "it has no checks: it proves that the server comes up, and nothing about what is in it",
      };
    }
  },
};

const fixedTarget: Rule = {
  id: "fixed-drill-target",
  severity: "warning",
  summary: "a drill that restores the same moment each time",
  explanation:
    "A target with a time, LSN, transaction or name of its own is the same at each drill: it says nothing about newer data, and fails from the day that retention has removed the backup it needs. Write `latest`, or a moment before the drill such as `-10m`.",
  *check(world) {
    for (const object of world.ofKind("RestoreDrill")) {
      const target = recordAt(object, ...drillTargetPath) ?? {};
      const fixed = [...exclusiveTargets, "backupID"].find(
        (field) => field !== "targetImmediate" && target[field] !== undefined,
      );
      if (fixed === undefined) continue;
      yield {
        object,
        path: [...drillTargetPath, fixed],
        message: `${fixed} is the same at each drill, and out of reach once its backup has been expired`,
        hint: "Write target: latest, or a moment before the drill such as -10m.",
      };
    }
  },
};

export const drillRules: readonly Rule[] = [withoutExpectation, withoutChecks, fixedTarget];
