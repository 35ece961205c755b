import { EngineError } from "../common/errors.ts";

/**
 * Target times. PostgreSQL stores commit times in microseconds, a JavaScript Date has milliseconds, so a target time is
 * kept as text: `2026-01-15 14:30:00.123456+00:00`, always UTC, always six digits. In this form text order is time order.
 */
export interface TargetTime {
  readonly canonical: string;
  /** False when the text named no zone; then it was read as UTC, and the caller may want to say so. */
  readonly hadZone: boolean;
}

const timePattern =
  /^(\d{4}-\d{2}-\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6})0*)?\s?(Z|z|[+-]\d{2}(?::?\d{2})?)?$/;

/**
 * Reads `2026-01-15 14:30:00`, with `T` for the space, with a fraction of up to six digits, with `Z` or an offset
 * (`+02`, `+0530`, `-01:30`). Without a zone the time is UTC: never that of whichever machine reads it.
 *
 * @throws EngineError `usage` for any other form and for dates that do not exist.
 */
export function parseTargetTime(text: string): TargetTime {
  const match = timePattern.exec(text.trim());
  if (match === null) throw notATime(text);
  const [, date = "", hour = "", minute = "", second = "", fraction = "", zone] = match;
  const offsetMinutes = zone === undefined ? 0 : parseOffset(zone);
  const local = Date.parse(`${date}T${hour}:${minute}:${second}Z`);
  // Date.parse turns 31 February into 3 March and 24:00 into the next day; only what comes out as it went in is real.
  if (
    Number.isNaN(local) ||
    !new Date(local).toISOString().startsWith(`${date}T${hour}:${minute}:${second}`)
  ) {
    throw notATime(text);
  }
  if (offsetMinutes === undefined) throw notATime(text);
  const utc = new Date(local - offsetMinutes * 60_000).toISOString();
  if (!/^\d{4}-/.test(utc)) throw notATime(text);
  return {
    canonical: `${utc.slice(0, 10)} ${utc.slice(11, 19)}.${fraction.padEnd(6, "0")}+00:00`,
    hadZone: zone !== undefined,
  };
}

/** Minutes east of UTC; undefined beyond PostgreSQL's own limit (MAX_TZDISP_HOUR, 15:59). */
function parseOffset(zone: string): number | undefined {
  if (zone === "Z" || zone === "z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || "0");
  if (hours > 15 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function notATime(text: string): EngineError {
  return new EngineError("usage", `"${text}" is not a time`, {
    hint: `Write it with its zone, for example "2026-01-15 14:30:00+00" or 2026-01-15T14:30:00Z.`,
  });
}

const canonicalPattern = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}\+00:00$/;

/** Whether a text has the canonical form and names a moment that exists. */
export function isCanonicalTime(text: string): boolean {
  if (!canonicalPattern.test(text)) return false;
  const date = new Date(`${text.slice(0, 10)}T${text.slice(11, 19)}Z`);
  return !Number.isNaN(date.getTime()) && text.startsWith(date.toISOString().slice(0, 19).replace("T", " "));
}

/** The canonical text of a Date, whose milliseconds become microseconds with three zeros. */
export function canonicalTime(time: Date): string {
  return `${time.toISOString().replace("T", " ").replace("Z", "")}000+00:00`;
}

/** Microseconds since 1970 of a canonical time, to compare and subtract without loss. */
export function targetTimeMicros(canonical: string): bigint {
  const seconds = Date.parse(`${canonical.slice(0, 10)}T${canonical.slice(11, 19)}Z`) / 1000;
  return BigInt(seconds) * 1_000_000n + BigInt(canonical.slice(20, 26));
}
