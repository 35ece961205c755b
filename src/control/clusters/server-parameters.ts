import type { ClusterView } from "./cluster-view.ts";

/** CloudNativePG's defaults (`postgres/configuration.go`), as far as they mean something on one machine. */
const defaults: Readonly<Record<string, string>> = {
  archive_timeout: "5min",
  max_parallel_workers: "32",
  max_replication_slots: "32",
  max_worker_processes: "32",
  wal_keep_size: "512MB",
  wal_level: "logical",
  wal_log_hints: "on",
};

/** What PostgreSQL is told: defaults, then the manifest's. */
export function serverParameters({ spec }: ClusterView): Readonly<Record<string, string>> {
  const { parameters = {}, shared_preload_libraries: libraries = [] } = spec.postgresql ?? {};
  return {
    ...defaults,
    ...(libraries.length === 0 ? {} : { shared_preload_libraries: libraries.join(",") }),
    ...parameters,
  };
}

const units: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity in bytes, rounded up; the schema has checked its form. */
export function quantityBytes(quantity: string | number): number {
  if (typeof quantity === "number") return Math.ceil(quantity);
  const [, number = "0", unit = ""] = /^\+?([\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  return Math.ceil(Number(number) * (units[unit] ?? 1));
}
