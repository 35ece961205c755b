import { expect, test } from "vitest";
import { storageCondition, storageEvent, storageOf } from "./storage-report.ts";
import { cluster, running } from "./testing/sample-facts.ts";

const gib = 1024 ** 3;

function primaryWith(dataBytes: number | undefined, walBytes: number | undefined) {
  const status = running("primary");
  const sizes = {
    ...(dataBytes === undefined ? {} : { dataBytes }),
    ...(walBytes === undefined ? {} : { walBytes }),
  };
  return {
    name: "pg-1",
    number: 1,
    spec: undefined,
    dataDirectory: "/data",
    status: { ...status, ...(status.postgres && { postgres: { ...status.postgres, ...sizes } }) },
    isProcessAlive: true,
    isServerAlive: true,
    shutDownAtLsn: undefined,
    history: undefined,
  } as const;
}

const one = cluster({ storage: { size: "10Gi" } });
const two = cluster({ storage: { size: "10Gi" }, walStorage: { size: "2Gi" } });

test.each([
  [
    "WAL counts as data",
    one,
    5,
    3,
    "True",
    "StorageWithinSize",
    "Databases and WAL use less than 90 % of 10Gi",
  ],
  ["near the size", one, 5, 4.2, "False", "StorageNearlyFull", "Databases and WAL use 92 % of 10Gi"],
  ["beyond it", one, 5, 6, "False", "StorageExceeded", "Databases and WAL use 110 % of 10Gi"],
  [
    "WAL with a size of its own",
    two,
    8.9,
    1,
    "True",
    "StorageWithinSize",
    "The databases use less than 90 % of 10Gi, WAL files use less than 90 % of 2Gi",
  ],
  ["of two the fuller one", two, 9.1, 2, "False", "StorageExceeded", "WAL files use 100 % of 2Gi"],
])("%s", (_title, view, data, wal, status, reason, message) => {
  expect(storageCondition(view, primaryWith(data * gib, wal * gib))).toEqual({
    type: "StorageWithinSize",
    status,
    reason,
    message,
  });
});

test("nothing is said while nobody has measured, and where no size is given", () => {
  expect(storageCondition(one, primaryWith(undefined, undefined))).toBeUndefined();
  expect(storageOf(one, undefined)).toBeUndefined();
  expect(storageCondition(cluster({ storage: {} }), primaryWith(gib, gib))).toBeUndefined();
});

test("a change is told once, in either direction", () => {
  const full = storageCondition(one, primaryWith(9.5 * gib, 0));
  const well = storageCondition(one, primaryWith(gib, 0));
  const noted = (found: typeof full) => (found === undefined ? [] : [{ ...found, lastTransitionTime: "" }]);

  expect(storageEvent([], well)).toBeUndefined();
  expect(storageEvent(noted(well), full)).toMatchObject({ type: "Warning", reason: "StorageNearlyFull" });
  expect(storageEvent(noted(full), full)).toBeUndefined();
  expect(storageEvent(noted(full), well)).toMatchObject({ type: "Normal", reason: "StorageWithinSize" });
});

test("the status has the numbers", () => {
  expect(storageOf(two, primaryWith(3, 2))).toEqual({
    usedBytes: 5,
    walBytes: 2,
    size: "10Gi",
    walSize: "2Gi",
  });
});
