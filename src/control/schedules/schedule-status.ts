import { z } from "zod";
import { toTimestamp } from "../resources/timestamp.ts";

/** What is remembered of a schedule, and shown. */
export interface ScheduleStatus {
  /** When a slot was taken last, or the schedule seen first: the next slot is counted from here. */
  readonly lastCheckTime: Date | undefined;
  /** Of the last backup that it made: the slot, not when it was made. */
  readonly lastScheduleTime: Date | undefined;
  /** The first is `nextScheduleTime`; one that lies in the past waits for a child to end. At most three. */
  readonly nextScheduleTimes: readonly Date[];
  readonly error: string | undefined;
}

const schema = z.object({
  lastCheckTime: z.iso.datetime().optional(),
  lastScheduleTime: z.iso.datetime().optional(),
  nextScheduleTimes: z.array(z.iso.datetime()).optional(),
  error: z.string().optional(),
});

/** What cannot be read counts as never said: the schedule is then looked at as a new one. */
export function readScheduleStatus(status: unknown): ScheduleStatus {
  const parsed = schema.safeParse(status ?? {});
  const data = parsed.success ? parsed.data : {};
  return {
    lastCheckTime: dateOf(data.lastCheckTime),
    lastScheduleTime: dateOf(data.lastScheduleTime),
    nextScheduleTimes: (data.nextScheduleTimes ?? []).map((time) => new Date(time)),
    error: data.error,
  };
}

/** With CloudNativePG's fields (spec: section 9.1), and `nextScheduleTimes`, which is ours. */
export function writeScheduleStatus(status: ScheduleStatus): Readonly<Record<string, unknown>> {
  const { lastCheckTime, lastScheduleTime, nextScheduleTimes, error } = status;
  const times = nextScheduleTimes.map(toTimestamp);
  return {
    ...(lastCheckTime === undefined ? {} : { lastCheckTime: toTimestamp(lastCheckTime) }),
    ...(lastScheduleTime === undefined ? {} : { lastScheduleTime: toTimestamp(lastScheduleTime) }),
    ...(times.length === 0 ? {} : { nextScheduleTime: times[0], nextScheduleTimes: times }),
    ...(error === undefined ? {} : { error }),
  };
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
