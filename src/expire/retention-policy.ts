import { EngineError } from "../common/errors.ts";

/**
 * How long backups are kept: every moment of the window before now can be returned to. As Barman counts it: a week has 7
 * days, a month 31 (spec: barman-layout, 11.1).
 */
export interface RetentionPolicy {
  readonly kind: "recovery-window";
  readonly count: number;
  readonly unit: RetentionUnit;
}

export type RetentionUnit = "days" | "weeks" | "months";

const daysOf: Readonly<Record<RetentionUnit, number>> = { days: 1, weeks: 7, months: 31 };
const dayMs = 24 * 3600 * 1000;

const shortUnits: Readonly<Record<string, RetentionUnit>> = { d: "days", w: "weeks", m: "months" };

/**
 * Reads CloudNativePG's short form, `30d`, `4w`, `6m`, and Barman's, `RECOVERY WINDOW OF 30 DAYS`, in any case. Throws
 * `usage` for anything else, a window of nothing among it: Barman takes that for "all but the newest".
 */
export function parseRetentionPolicy(text: string): RetentionPolicy {
  const short = /^([1-9]\d*)([dwm])$/.exec(text);
  const long = /^\s*recovery\s+window\s+of\s+([1-9]\d*)\s+(day|week|month)s?\s*$/i.exec(text);
  const count = Number(short?.[1] ?? long?.[1]);
  const unit = shortUnits[short?.[2] ?? long?.[2]?.[0]?.toLowerCase() ?? ""];
  if (unit !== undefined && Number.isSafeInteger(count * daysOf.months * dayMs)) {
    return { kind: "recovery-window", count, unit };
  }
  throw new EngineError("usage", `"${text}" is not a retention policy`, {
    hint: 'Write 30d, 4w or 6m, or "RECOVERY WINDOW OF 30 DAYS".',
  });
}

/** Barman's form: `RECOVERY WINDOW OF 30 DAYS`. */
export function formatRetentionPolicy({ count, unit }: RetentionPolicy): string {
  return `RECOVERY WINDOW OF ${count} ${unit.toUpperCase()}`;
}

/** Where the window begins that ends now. */
export function windowStart({ count, unit }: RetentionPolicy, now: Date): Date {
  // Before this no computer kept a backup, and dates have an end.
  return new Date(Math.max(0, now.getTime() - count * daysOf[unit] * dayMs));
}
