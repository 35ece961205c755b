import { nextTimes, parseCronSchedule } from "../../cron-schedule.ts";
import { valueAt, type FieldPath, type ManifestObject } from "../../manifest-object.ts";
import type { Finding, Rule } from "../rule.ts";
import { listAt, textAt, type World } from "../world.ts";

/** Schedules: when backups are really taken. */

/** On an object: `cnpg` takes a schedule of five fields as CloudNativePG does. */
export const dialectAnnotation = "tidemark.dev/schedule-dialect";

const path = ["spec", "schedule"] as const;

interface WrittenSchedule {
  readonly object: ManifestObject;
  readonly path: FieldPath;
  readonly schedule: string;
}

/** Of ScheduledBackups, and of our own kinds, which have the same form of it. */
function schedulesOf(world: World): readonly WrittenSchedule[] {
  const places = [
    ...world.ofKind("ScheduledBackup", "RestoreDrill").map((object) => ({ object, path: path as FieldPath })),
    ...world.ofKind("Server").flatMap((object) =>
      listAt(object, "spec", "schedules").map((_item, index) => ({
        object,
        path: ["spec", "schedules", index, "schedule"] as FieldPath,
      })),
    ),
  ];
  return places.flatMap((place) => {
    const schedule = textAt(place.object, ...place.path);
    return schedule === undefined ? [] : [{ ...place, schedule }];
  });
}

/** Times in messages are those after a fixed moment, so that the same manifest always gets the same words. */
const moment = new Date("2026-01-01T00:00:00Z");

const fiveFields: Rule = {
  id: "five-field-schedule",
  severity: "error",
  summary: "a schedule with five fields, which is read with the second first",
  explanation:
    "CloudNativePG's schedules have six fields, and the first is the second. One with five is not refused: its fields move one place to the left and a star is added, so `0 3 * * *` (meant: daily at 03:00) fires every hour at minute 3, `0 */6 * * *` every six minutes, and `0 2 * * 0` is refused because its fifth field is the month. Write the second in front: `0 0 3 * * *`. Schedules of a Server or RestoreDrill have the same six fields. To take CloudNativePG's reading on purpose, annotate the object with `tidemark.dev/schedule-dialect: cnpg`.",
  *check(world) {
    for (const { object, path, schedule } of schedulesOf(world)) {
      if (schedule.trim().split(/\s+/).length !== 5) continue;
      if (schedule.trim().startsWith("@") || isOptedIn(object)) continue;
      // Crontab knows Sunday as 7 too.
      const meant = `0 ${schedule.trim().replace(/\b7$/, "0")}`;
      const isGood = !("error" in parseCronSchedule(meant));
      yield {
        object,
        path,
        message: `schedule "${schedule}" has five fields: ${isOurs(object) ? "the first is read" : "CloudNativePG reads the first"} as the second, ${readingOf(schedule)}`,
        ...(isGood
          ? {
              hint: `Write "${meant}" for what crontab means by it (${readingOf(meant)}).`,
              fix: {
                title: `write the schedule with six fields: ${meant}`,
                edits: [{ kind: "set", object, path, value: meant }],
              },
            }
          : {}),
      };
    }
  },
};

function isOurs({ apiVersion }: ManifestObject): boolean {
  return apiVersion.startsWith("tidemark.dev/");
}

function isOptedIn(object: ManifestObject): boolean {
  return textAt(object, "metadata", "annotations", dialectAnnotation) === "cnpg";
}

/** In words: when it fires. */
function readingOf(schedule: string): string {
  const parsed = parseCronSchedule(schedule);
  if ("error" in parsed) return `and refuses it: ${parsed.error}`;
  const times = nextTimes(parsed.schedule, moment, 3).map(
    (time) => `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`,
  );
  return times.length === 0 ? "never" : `so from 1 January 2026 it fires at ${times.join(", ")}`;
}

const badSchedule: Rule = {
  id: "bad-schedule",
  severity: "error",
  summary: "a schedule that cannot be read, or never fires",
  explanation:
    "A schedule has six fields: second, minute, hour, day of month, month, day of week (0 to 6, Sunday is 0); or it is @hourly, @daily, @weekly, @monthly, @yearly or `@every 6h`. L, W, # and a time zone are not supported. A day that does not exist (31 February) never comes.",
  *check(world) {
    for (const { object, path, schedule } of schedulesOf(world)) {
      const isFive = schedule.trim().split(/\s+/).length === 5 && !schedule.trim().startsWith("@");
      if (isFive && !isOptedIn(object)) continue;
      const parsed = parseCronSchedule(schedule);
      if ("error" in parsed) {
        yield { object, path, message: `schedule "${schedule}" cannot be read: ${parsed.error}` };
      } else if (nextTimes(parsed.schedule, moment, 1).length === 0) {
        yield { object, path, message: `schedule "${schedule}" never fires: there is no such day` };
      }
    }
  },
};

const backupWithSchedule: Rule = {
  id: "backup-with-schedule",
  severity: "error",
  summary: "a Backup with a schedule",
  explanation:
    "A Backup is taken once, when it is created; it has no schedule, and CloudNativePG removes the field without a word. For one every day, write a ScheduledBackup.",
  *check(world) {
    for (const object of world.ofKind("Backup")) {
      if (valueAt(object.value, path) === undefined) continue;
      yield {
        object,
        path,
        message: "a Backup is taken once: its schedule is not read by anybody",
        hint: "Make it a ScheduledBackup, with six fields in its schedule.",
      };
    }
  },
};

const cronJob: Rule = {
  id: "cronjob-backups",
  severity: "warning",
  summary: "a CronJob that creates Backups",
  explanation:
    "A CronJob needs an image with kubectl, a service account with rights, and names that are new each time; `kubectl create backup` does not exist, and PostgreSQL's image has no kubectl. A ScheduledBackup does the same with none of that. CronJobs are not run here.",
  *check(world) {
    for (const object of world.ofKind("CronJob")) {
      const text = textsIn(object.value).join(" ");
      if (!/kind:\s*Backup\b|cnpg\s+backup|create\s+backup|postgresql\.cnpg\.io/.test(text)) continue;
      const schedule = textAt(object, ...path);
      const isFive = schedule?.trim().split(/\s+/).length === 5;
      yield {
        object,
        path: [],
        message: "it is not run here, and what it does is the work of a ScheduledBackup",
        hint: `Write a ScheduledBackup${isFive ? ` with the schedule "0 ${schedule?.trim() ?? ""}"` : ""} in its place; several CronJobs for several hours become one, such as "0 0 */6 * * *".`,
      };
    }
  },
};

/** All texts of a value, in order: a command may be one text or a list of words. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

const namedAsSchedule: Rule = {
  id: "backup-named-as-schedule",
  severity: "info",
  summary: "a Backup whose name promises a schedule",
  explanation:
    "A Backup is taken once. One that is called daily-backup is often meant to be taken daily, and is not.",
  *check(world) {
    for (const object of world.ofKind("Backup")) {
      const word = /(?:^|[-.])(hourly|daily|nightly|weekly|monthly|scheduled)(?:[-.]|$)/.exec(
        object.name,
      )?.[1];
      if (word === undefined || isChild(object)) continue;
      const finding: Finding = {
        object,
        path: ["metadata", "name"],
        message: `"${object.name}" is a Backup: it is taken once, not ${word}`,
        hint: "For a backup at fixed times, write a ScheduledBackup.",
      };
      yield finding;
    }
  },
};

/** Of a ScheduledBackup, which names it. */
function isChild(object: ManifestObject): boolean {
  return listAt(object, "metadata", "ownerReferences").length > 0 || /-\d{14}$/.test(object.name);
}

export const scheduleRules: readonly Rule[] = [
  fiveFields,
  badSchedule,
  backupWithSchedule,
  cronJob,
  namedAsSchedule,
];
