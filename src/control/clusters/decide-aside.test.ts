import { expect, test } from "vitest";
import type { AsideEntry } from "./aside-folders.ts";
import { asideToRemove } from "./decide-aside.ts";

const entry: AsideEntry = {
  path: "/state/aside/pg-1",
  putAsideAt: new Date("2026-11-10T12:00:00Z"),
  reason: "replaced",
  owner: "u1",
  bytes: 1,
};
const facts = { owner: "u1", lastBackup: "2026-11-11T00:00:00Z", now: new Date("2026-11-17T12:00:00Z") };

const removed = (change: Partial<AsideEntry>, other: Partial<typeof facts> = {}) =>
  asideToRemove({ entries: [{ ...entry, ...change }], ...facts, ...other }).length === 1;

test("what was put aside goes after a week and a newer base backup", () => {
  expect(removed({})).toBe(true);
  expect(removed({}, { now: new Date("2026-11-17T11:59:59Z") })).toBe(false);
  expect(removed({}, { lastBackup: "2026-11-10T11:59:59Z" })).toBe(false);
  expect(asideToRemove({ entries: [entry], ...facts, lastBackup: undefined })).toEqual([]);
});

test("what may be the last copy stays: of another Cluster, of one that was lost, or nobody knows of what", () => {
  expect(removed({ owner: "u0" })).toBe(false);
  expect(removed({ reason: "orphaned" })).toBe(false);
  expect(removed({ putAsideAt: undefined, reason: undefined, owner: undefined })).toBe(false);
});
