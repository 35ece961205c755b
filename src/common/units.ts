import { EngineError } from "./errors.ts";

export const kib = 1024;
export const mib = 1024 * kib;
export const gib = 1024 * mib;

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${byteUnits[unit]}`;
}

const sizeFactors: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: kib,
  kb: kib,
  kib,
  m: mib,
  mb: mib,
  mib,
  g: gib,
  gb: gib,
  gib,
  t: 1024 * gib,
  tb: 1024 * gib,
  tib: 1024 * gib,
};

/** `64MiB`, `64M`, `64mb` and `67108864` all mean the same; units are powers of 1024, as in PostgreSQL. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match ? sizeFactors[(match[2] ?? "").toLowerCase()] : undefined;
  if (!match || factor === undefined) {
    throw new EngineError("usage", `"${text}" is not a size`, {
      hint: "Write a number and a unit, for example 64MiB.",
    });
  }
  return Math.round(Number(match[1]) * factor);
}

/** `83` → `83 ms`, `3_720_000` → `1 h 2 min`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "unknown";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `2026-11-21 09:07:27.656+00:00`: readable, sortable, and never without its zone. */
export function formatTime(time: Date): string {
  return `${time.toISOString().replace("T", " ").replace("Z", "")}+00:00`;
}
