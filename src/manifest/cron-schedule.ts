/**
 * Schedules as CloudNativePG reads them: robfig/cron v1.2.0, whose first field is the second. Times are UTC, as in the
 * operator's pod. (Source: parser.go and spec.go of that version.)
 */

const day = 24 * 3600 * 1000;

/** `undefined` as a set stands for "every value", which matters where days of month and of week meet. */
interface CronFields {
  readonly kind: "fields";
  readonly seconds: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** A `*` or `?` in one of the two day fields makes both necessary; otherwise either is enough. */
  readonly anyDay: boolean;
}

interface Every {
  readonly kind: "every";
  readonly seconds: number;
}

export type CronSchedule = CronFields | Every;

export type CronParse =
  | { readonly schedule: CronSchedule; readonly fieldCount: number }
  | { readonly error: string };

interface FieldRule {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

const rules: readonly FieldRule[] = [
  { name: "second", low: 0, high: 59 },
  { name: "minute", low: 0, high: 59 },
  { name: "hour", low: 0, high: 23 },
  { name: "day of month", low: 1, high: 31 },
  {
    name: "month",
    low: 1,
    high: 12,
    names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
  },
  { name: "day of week", low: 0, high: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

const descriptors: Readonly<Record<string, string>> = {
  "@yearly": "0 0 0 1 1 *",
  "@annually": "0 0 0 1 1 *",
  "@monthly": "0 0 0 1 * *",
  "@weekly": "0 0 0 * * 0",
  "@daily": "0 0 0 * * *",
  "@midnight": "0 0 0 * * *",
  "@hourly": "0 0 * * * *",
};

/** Reads a schedule with five or six fields, or a descriptor. `fieldCount` is 1 for a descriptor. */
export function parseCronSchedule(text: string): CronParse {
  if (text.startsWith("@")) return parseDescriptor(text);
  const trimmed = text.trim();
  const fields = trimmed === "" ? [] : trimmed.split(/\s+/);
  if (fields.length < 5 || fields.length > 6) {
    return { error: `it has ${fields.length} fields; six are expected, the first is the second` };
  }
  const sets: { values: ReadonlySet<number>; isStar: boolean }[] = [];
  for (const [index, rule] of rules.entries()) {
    const set = parseField(fields[index] ?? "*", rule);
    if ("error" in set) return set;
    sets.push(set);
  }
  const [seconds, minutes, hours, daysOfMonth, months, daysOfWeek] = sets;
  if (!seconds || !minutes || !hours || !daysOfMonth || !months || !daysOfWeek) return { error: "too short" };
  return {
    fieldCount: fields.length,
    schedule: {
      kind: "fields",
      seconds: seconds.values,
      minutes: minutes.values,
      hours: hours.values,
      daysOfMonth: daysOfMonth.values,
      months: months.values,
      daysOfWeek: daysOfWeek.values,
      anyDay: daysOfMonth.isStar || daysOfWeek.isStar,
    },
  };
}

function parseDescriptor(text: string): CronParse {
  const fields = descriptors[text];
  if (fields !== undefined) {
    const parsed = parseCronSchedule(fields);
    return "error" in parsed ? parsed : { ...parsed, fieldCount: 1 };
  }
  if (!text.startsWith("@every ")) {
    return { error: `"${text}" is not known; there are ${Object.keys(descriptors).join(" ")} and @every` };
  }
  const duration = text.slice("@every ".length);
  const milliseconds = parseGoDuration(duration);
  if (milliseconds === undefined) {
    return { error: `"${duration}" is not a duration such as 6h or 1h30m` };
  }
  return {
    fieldCount: 1,
    schedule: { kind: "every", seconds: Math.max(1, Math.floor(milliseconds / 1000)) },
  };
}

/** A duration as Go writes it, in milliseconds: `1h30m`, `90s`, `1.5h`. */
export function parseGoDuration(text: string): number | undefined {
  const units: Readonly<Record<string, number>> = {
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    us: 1e-3,
    µs: 1e-3,
    μs: 1e-3,
    ns: 1e-6,
  };
  if (/^[+-]?0$/.test(text)) return 0;
  if (!/^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|μs|ns))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number = "", unit = ""] of text.matchAll(/(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|μs|ns)/g)) {
    sum += Number(number) * (units[unit] ?? 0);
  }
  return text.startsWith("-") ? -sum : sum;
}

function parseField(
  text: string,
  rule: FieldRule,
): { values: ReadonlySet<number>; isStar: boolean } | { error: string } {
  const values = new Set<number>();
  let isStar = false;
  for (const part of text.split(",").filter((item) => item !== "")) {
    const range = parseRange(part, rule);
    if ("error" in range) return { error: `${rule.name} "${part}": ${range.error}` };
    isStar ||= range.isStar;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return { values, isStar };
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly isStar: boolean;
}

function parseRange(text: string, rule: FieldRule): Range | { error: string } {
  const [span = "", stepText, ...more] = text.split("/");
  if (more.length > 0) return { error: "it has more than one slash" };
  const [fromText = "", toText, ...rest] = span.split("-");
  if (rest.length > 0) return { error: "it has more than one hyphen" };
  const isStar = fromText === "*" || fromText === "?";
  // The library does not look at what stands behind a star.
  const from = isStar ? rule.low : parseNumber(fromText, rule);
  let to = isStar ? rule.high : toText === undefined ? from : parseNumber(toText, rule);
  if (from === undefined || to === undefined) return { error: "it is not a number" };
  let step = 1;
  if (stepText !== undefined) {
    if (!/^\d+$/.test(stepText) || Number(stepText) === 0)
      return { error: "its step is not a positive number" };
    step = Number(stepText);
    // `a/n` stands for `a-max/n`.
    if (toText === undefined) to = rule.high;
  }
  if (from < rule.low) return { error: `${from} is below ${rule.low}` };
  if (to > rule.high) return { error: `${to} is above ${rule.high}` };
  if (from > to) return { error: `${from} is beyond the end of its range, ${to}` };
  // A star with a step restricts nothing for the day fields' sake: that is how the library marks it.
  return { from, to, step, isStar };
}

function parseNumber(text: string, { names, low }: FieldRule): number | undefined {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + low;
  return /^\+?\d+$/.test(text) ? Number(text) : undefined;
}

/** The first time after `after`; undefined when there is none within five years. */
export function nextTime(schedule: CronSchedule, after: Date): Date | undefined {
  const start = Math.floor(after.getTime() / 1000) * 1000;
  if (schedule.kind === "every") return new Date(start + schedule.seconds * 1000);
  const first = start + 1000;
  const limit = new Date(first);
  limit.setUTCFullYear(limit.getUTCFullYear() + 5);
  let date = new Date(first);
  date.setUTCHours(0, 0, 0, 0);
  for (; date.getTime() <= limit.getTime(); date = new Date(date.getTime() + day)) {
    if (!schedule.months.has(date.getUTCMonth() + 1) || !isDay(schedule, date)) continue;
    const found = firstWithin(schedule, date.getTime(), first);
    if (found !== undefined) return new Date(found);
  }
  return undefined;
}

/** The next `count` times, fewer when there are no more. */
export function nextTimes(schedule: CronSchedule, after: Date, count: number): readonly Date[] {
  const times: Date[] = [];
  for (let at: Date | undefined = after; times.length < count;) {
    at = nextTime(schedule, at);
    if (at === undefined) break;
    times.push(at);
  }
  return times;
}

function isDay(schedule: CronFields, date: Date): boolean {
  const ofMonth = schedule.daysOfMonth.has(date.getUTCDate());
  const ofWeek = schedule.daysOfWeek.has(date.getUTCDay());
  return schedule.anyDay ? ofMonth && ofWeek : ofMonth || ofWeek;
}

/** The first time of a day that begins at `midnight`, not before `first`, in milliseconds since 1970. */
function firstWithin(schedule: CronFields, midnight: number, first: number): number | undefined {
  for (let hour = 0; hour < 24; hour++) {
    if (!schedule.hours.has(hour)) continue;
    for (let minute = 0; minute < 60; minute++) {
      if (!schedule.minutes.has(minute)) continue;
      const start = midnight + hour * 3_600_000 + minute * 60_000;
      if (start + 59_000 < first) continue;
      for (let second = 0; second < 60; second++) {
        if (schedule.seconds.has(second) && start + second * 1000 >= first) return start + second * 1000;
      }
    }
  }
  return undefined;
}
