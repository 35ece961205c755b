import { condition, type Condition } from "../resources/conditions.ts";
import type { ClusterEvent, InstanceFacts } from "./cluster-facts.ts";
import type { ClusterView } from "./cluster-view.ts";
import { quantityBytes } from "./server-parameters.ts";

/**
 * Nothing keeps a data directory on one machine from growing past the size that its manifest gives: that it does is said. As on
 * Kubernetes, WAL counts as data unless it has a size of its own (`walStorage`); it is what grows when archiving fails.
 */

const warningPercent = 90;

type Size = string | number;

/** One size of the manifest, and what there is of it. */
interface Volume {
  readonly what: string;
  readonly usedBytes: number;
  readonly size: Size;
}

/** The condition `StorageWithinSize`; undefined while nobody has measured yet, and where no size is given. */
export function storageCondition(
  { spec }: ClusterView,
  primary: InstanceFacts | undefined,
): Omit<Condition, "lastTransitionTime"> | undefined {
  const volumes = volumesOf(spec, primary);
  const [fullest] = volumes.toSorted((a, b) => percentOf(b) - percentOf(a));
  if (fullest === undefined) return undefined;
  const percent = percentOf(fullest);
  if (percent < warningPercent) {
    const each = volumes.map(({ what, size }) => `${what} use less than ${warningPercent} % of ${size}`);
    return condition("StorageWithinSize", "True", "StorageWithinSize", each.join(", "));
  }
  return condition(
    "StorageWithinSize",
    "False",
    percent < 100 ? "StorageNearlyFull" : "StorageExceeded",
    `${fullest.what} use ${percent} % of ${fullest.size}`,
  );
}

/** What is said when it has changed: once when it comes near its size, once beyond, and when it is well again. */
export function storageEvent(
  before: readonly Condition[],
  found: Omit<Condition, "lastTransitionTime"> | undefined,
): ClusterEvent | undefined {
  const known = before.find(({ type }) => type === "StorageWithinSize");
  if (found === undefined || found.reason === (known?.reason ?? "StorageWithinSize")) return undefined;
  return {
    type: found.status === "True" ? "Normal" : "Warning",
    reason: found.reason,
    message: found.message,
  };
}

/** The same in numbers, for the status. */
export function storageOf(
  { spec }: ClusterView,
  primary: InstanceFacts | undefined,
): Readonly<Record<string, unknown>> | undefined {
  const { dataBytes, walBytes } = primary?.status?.postgres ?? {};
  if (dataBytes === undefined || walBytes === undefined) return undefined;
  const size = sizeOf(spec.storage);
  const walSize = sizeOf(spec.walStorage);
  return {
    usedBytes: dataBytes + walBytes,
    walBytes,
    ...(size === undefined ? {} : { size }),
    ...(walSize === undefined ? {} : { walSize }),
  };
}

function volumesOf(spec: ClusterView["spec"], primary: InstanceFacts | undefined): readonly Volume[] {
  const { dataBytes, walBytes } = primary?.status?.postgres ?? {};
  if (dataBytes === undefined || walBytes === undefined) return [];
  const size = sizeOf(spec.storage);
  const walSize = sizeOf(spec.walStorage);
  if (walSize === undefined) {
    return size === undefined ? [] : [{ what: "Databases and WAL", usedBytes: dataBytes + walBytes, size }];
  }
  return [
    ...(size === undefined ? [] : [{ what: "The databases", usedBytes: dataBytes, size }]),
    { what: "WAL files", usedBytes: walBytes, size: walSize },
  ];
}

const percentOf = ({ usedBytes, size }: Volume): number =>
  Math.round((100 * usedBytes) / quantityBytes(size));

function sizeOf(storage: ClusterView["spec"]["storage"]): Size | undefined {
  return storage?.size ?? storage?.pvcTemplate?.resources?.requests?.storage;
}
