import { z } from "zod";
import { parseGoDuration } from "../cron-schedule.ts";

/** Forms of values that several kinds of our own share. */

/** `90s`, `1h30m`. */
export const goDuration = z
  .string()
  .refine((text) => parseGoDuration(text) !== undefined, "not a duration such as 90s or 1h30m");

/** A duration of some length. */
export const positiveDuration = goDuration.refine(
  (text) => (parseGoDuration(text) ?? 1) > 0,
  "not a duration of more than nothing",
);

export const absolutePath = z.string().regex(/^\//, "not a path from the root on");

/** A word of Kubernetes: a name that can be part of others. */
export const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "not a name of lower-case letters, digits and hyphens");

/** A list whose items have a name each of their own. */
export function uniquelyNamed<Item extends z.ZodType<{ readonly name: string }>>(item: Item) {
  return z.array(item).superRefine((items, context) => {
    const names = items.map(({ name }) => name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) === index) continue;
      context.addIssue({ code: "custom", path: [index, "name"], message: `there are two called "${name}"` });
    }
  });
}
