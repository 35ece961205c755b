const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

/** Up to which age it is told in which units, as kubectl does: two units while the second one still says something. */
const forms = [
  { belowMs: 2 * minute, unitMs: second, unit: "s" },
  { belowMs: 10 * minute, unitMs: minute, unit: "m", restMs: second, rest: "s" },
  { belowMs: 3 * hour, unitMs: minute, unit: "m" },
  { belowMs: 8 * hour, unitMs: hour, unit: "h", restMs: minute, rest: "m" },
  { belowMs: 2 * day, unitMs: hour, unit: "h" },
  { belowMs: 8 * day, unitMs: day, unit: "d", restMs: hour, rest: "h" },
  { belowMs: 2 * year, unitMs: day, unit: "d" },
  { belowMs: 8 * year, unitMs: year, unit: "y", restMs: day, rest: "d" },
  { belowMs: Infinity, unitMs: year, unit: "y" },
] as const;

/** `83 s` → `83s`, `7 min 5 s` → `7m5s`, `30 h` → `30h`, `9 d` → `9d`. Clocks that differ a little make nothing negative. */
export function formatAge(ms: number): string {
  const age = Math.max(0, ms);
  const form = forms.find(({ belowMs }) => age < belowMs);
  if (form === undefined) return "<unknown>";
  const whole = `${Math.floor(age / form.unitMs)}${form.unit}`;
  if (!("restMs" in form)) return whole;
  const rest = Math.floor((age % form.unitMs) / form.restMs);
  return rest === 0 ? whole : `${whole}${rest}${form.rest}`;
}

/** How long ago a time in an object was; empty for none, as kubectl leaves it. */
export function ageOf(time: unknown, now: Date): string {
  if (typeof time !== "string" || time === "") return "";
  const ms = now.getTime() - Date.parse(time);
  return Number.isNaN(ms) ? "<invalid>" : formatAge(ms);
}
