import { formatPath, isRecord, valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import { parseGoDuration } from "../../cron-schedule.ts";
import { pluginEntries } from "../cluster-stores.ts";
import type { Finding, Rule } from "../rule.ts";
import { isSetAt, recordAt, textAt } from "../world.ts";
import { parseTargetTime } from "../../../postgres/recovery-settings-time.ts";
import {
  drillTargetPath,
  recoveryPath,
  targetPath,
  exclusiveTargets,
  recoveryTargetFields,
  recoveryTargets,
} from "./recovery-target-fields.ts";

/** The moment to recover to. */

const misplacedTarget: Rule = {
  id: "misplaced-recovery-target",
  severity: "error",
  summary: "a recovery target where nobody reads it",
  explanation:
    "A target time in the parameters of a plugin, or directly below `recovery`, is ignored: the cluster is recovered to the end of the archive, with the accident in it. That it looked right once was luck: the segment with the last rows had not been archived yet. The place is `bootstrap.recovery.recoveryTarget`.",
  *check(world) {
    for (const object of world.clusters) {
      const source = textAt(object, ...recoveryPath, "source");
      const places = [
        { path: recoveryPath as FieldPath, isMeant: true },
        ...pluginEntries(object).map(({ path }) => ({
          path: [...path, "parameters"],
          isMeant: path[1] === "externalClusters" && textAt(object, ...path.slice(0, -1), "name") === source,
        })),
      ];
      for (const { path, isMeant } of places) {
        const holder = valueAt(object.value, path);
        if (!isRecord(holder)) continue;
        for (const field of recoveryTargetFields) {
          if (holder[field] === undefined) continue;
          const from = [...path, field];
          yield {
            object,
            path: from,
            message: `"${formatPath(from)}" is not read by anybody${exclusiveTargets.includes(field) ? ": recovery goes to the end of the archive" : ""}`,
            hint: `It belongs to ${formatPath([...targetPath, field])}.`,
            ...(isMeant ? moveToTarget(object, from, field) : {}),
          };
        }
      }
    }
  },
};

function moveToTarget(object: ManifestObject, from: FieldPath, field: string): Pick<Finding, "fix"> {
  const target = recordAt(object, ...targetPath) ?? {};
  const isTaken = target[field] !== undefined;
  const isExclusive = exclusiveTargets.includes(field);
  if (!isSetAt(object, ...recoveryPath) || isTaken) return {};
  if (isExclusive && exclusiveTargets.some((other) => target[other] !== undefined)) return {};
  const to = [...targetPath, field];
  const text = textAt(object, ...from);
  // Parameters are texts; these two fields are not.
  const isFlag = field === "targetImmediate" || field === "exclusive";
  if (isFlag && text !== undefined && text !== "true" && text !== "false") return {};
  const value = isFlag && text !== undefined ? { value: text === "true" } : {};
  return {
    fix: { title: `move it to ${formatPath(to)}`, edits: [{ kind: "move", object, from, to, ...value }] },
  };
}

const withoutZone: Rule = {
  id: "target-without-zone",
  severity: "warning",
  summary: "a target time without a zone",
  explanation:
    "CloudNativePG picks the backup as if a time without a zone were UTC, and passes the text on to PostgreSQL, which reads it in the server's TimeZone: two moments, unless that is UTC. Here it is read as UTC. Write the offset.",
  *check(world) {
    for (const { object, path: target } of recoveryTargets(world)) {
      const path = [...target, "targetTime"];
      const text = textAt(object, ...path);
      const time = text === undefined ? undefined : readTime(text);
      if (text === undefined || time === undefined) continue;
      if (time.hadZone) {
        if (isKnownForm(text) || object.kind === "RestoreDrill") continue;
        yield {
          object,
          path,
          message: `"${text}" is ${time.canonical}, in a form that CloudNativePG refuses`,
          fix: {
            title: `write ${time.canonical}`,
            edits: [{ kind: "set", object, path, value: time.canonical }],
          },
        };
        continue;
      }
      const value = `${text.trim()}+00:00`;
      yield {
        object,
        path,
        message: `"${text}" has no zone: it is taken as ${time.canonical}`,
        fix: { title: `write ${value}`, edits: [{ kind: "set", object, path, value }] },
      };
    }
  },
};

/** PostgreSQL's, with an offset behind it, or RFC 3339. */
function isKnownForm(text: string): boolean {
  return /^\S+ [\d:.]+[+-]\d{2}(:\d{2})?$/.test(text) || /^\S+T[\d:.]+(Z|[+-]\d{2}:\d{2})$/.test(text);
}

function readTime(text: string): ReturnType<typeof parseTargetTime> | undefined {
  try {
    return parseTargetTime(text);
  } catch {
    return undefined;
  }
}

/** Each with what CloudNativePG says of a wrong one. */
const forms: Readonly<Record<string, (text: string) => string | undefined>> = {
  targetTime: (text) =>
    readTime(text) === undefined ? `"${text}" is not a time; write 2026-01-15T14:30:00Z` : undefined,
  targetXID: (text) =>
    /^\d+$/.test(text) && Number(text) < 2 ** 32
      ? undefined
      : "recovery target xid must be a non-negative 32-bit integer",
  targetLSN: (text) =>
    /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i.test(text) ? undefined : `"${text}" is not an LSN such as 0/3000060`,
  targetName: (text) =>
    Buffer.byteLength(text) >= 64
      ? "recovery target name must be shorter than 64 bytes"
      : /\p{Cc}/u.test(text)
        ? "recovery target name must not contain ASCII control characters"
        : undefined,
  targetTLI: (text) =>
    text === "" || text === "latest" || /^[1-9]\d*$/.test(text)
      ? undefined
      : "recovery target timeline can be set to 'latest' or a positive integer",
};

const badTarget: Rule = {
  id: "bad-recovery-target",
  severity: "error",
  summary: "a recovery target that cannot be meant",
  explanation:
    "At most one of targetTime, targetXID, targetLSN, targetName and targetImmediate may be given (a targetImmediate of false counts). A time is PostgreSQL's (`2026-01-15 14:30:00+00`) or RFC 3339; `now`, epoch numbers and names of zones are not accepted. With targetXID, targetName and targetImmediate nothing says which base backup to take, so CloudNativePG wants backupID with them.",
  *check(world) {
    for (const { object, path: at } of recoveryTargets(world)) {
      const target = recordAt(object, ...at) ?? {};
      const given = exclusiveTargets.filter(
        (field) => target[field] !== undefined && target[field] !== null && target[field] !== "",
      );
      if (given.length > 1) {
        yield {
          object,
          path: [...at, given[1] ?? ""],
          message: `recovery target options are mutually exclusive: ${given.join(", ")}`,
        };
      }
      for (const [field, problemOf] of Object.entries(forms)) {
        const text = target[field];
        const problem = typeof text === "string" ? problemOf(text) : undefined;
        if (problem !== undefined) yield { object, path: [...at, field], message: problem };
      }
      const needsId = given.filter((field) => ["targetXID", "targetName", "targetImmediate"].includes(field));
      const [first] = needsId;
      if (
        first !== undefined &&
        object.kind === "Cluster" &&
        target["backupID"] === undefined &&
        !isSetAt(object, ...recoveryPath, "backup")
      ) {
        yield {
          object,
          path: [...at, first],
          severity: "warning",
          message: `CloudNativePG wants backupID with ${first}: "BackupID is missing"`,
          hint: "Here the newest backup from which the target can be reached is looked for.",
        };
      }
    }
  },
};

const futureTarget: Rule = {
  id: "future-target",
  severity: "error",
  summary: "a recovery target that has not come yet",
  explanation:
    'Nothing can be restored to a moment for which there is no WAL: PostgreSQL replays what there is and then ends with "recovery ended before configured recovery target was reached". A RestoreDrill may name a moment before it begins, with a minus: `-10m`.',
  *check(world) {
    for (const object of world.ofKind("RestoreDrill")) {
      const text = textAt(object, ...drillTargetPath);
      const duration = text === undefined ? undefined : parseGoDuration(text);
      if (text === undefined || duration === undefined || duration < 0) continue;
      const value = `-${text.replace(/^\+/, "")}`;
      yield {
        object,
        path: drillTargetPath,
        message: `"${text}" is ${duration === 0 ? "the moment of the drill itself" : "after the drill"}: there is no WAL of it yet`,
        hint:
          duration === 0
            ? "Write latest for the end of the archive."
            : `Write "${value}" for that long before the drill.`,
        ...(duration === 0
          ? {}
          : {
              fix: {
                title: `write ${value}`,
                edits: [{ kind: "set", object, path: drillTargetPath, value }],
              },
            }),
      };
    }
    const { now } = world;
    if (now === undefined) return;
    for (const { object, path: target } of recoveryTargets(world)) {
      const path = [...target, "targetTime"];
      const text = textAt(object, ...path);
      const time = text === undefined ? undefined : readTime(text)?.canonical;
      if (time === undefined || Date.parse(time.replace(" ", "T")) <= now.getTime()) continue;
      yield {
        object,
        path,
        message: `the target time ${time} has not come yet`,
        hint: "Is its offset from UTC right?",
      };
    }
  },
};

export const recoveryTargetRules: readonly Rule[] = [misplacedTarget, withoutZone, badTarget, futureTarget];
