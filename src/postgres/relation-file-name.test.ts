import { expect, it } from "vitest";
import { isRelationDirectory, parseRelationFileName } from "./relation-file-name.ts";

it.each([
  ["16384", { relation: "16384", fork: "main", segment: 0, isTemporary: false }],
  ["16384.12", { relation: "16384", fork: "main", segment: 12, isTemporary: false }],
  ["16384_fsm", { relation: "16384", fork: "fsm", segment: 0, isTemporary: false }],
  ["16384_vm.1", { relation: "16384", fork: "vm", segment: 1, isTemporary: false }],
  ["16384_init", { relation: "16384", fork: "init", segment: 0, isTemporary: false }],
  ["t3_16385", { relation: "16385", fork: "main", segment: 0, isTemporary: true }],
  ["t12_16385_fsm.2", { relation: "16385", fork: "fsm", segment: 2, isTemporary: true }],
])("%s is a file of a relation", (name, parsed) => {
  expect(parseRelationFileName(name)).toEqual(parsed);
});

it.each([
  "PG_VERSION",
  "pg_filenode.map",
  "16384_x",
  "16384.",
  "t16384",
  "16384_vm_fsm",
  "pg_internal.init",
  "",
])("%j is none", (name) => {
  expect(parseRelationFileName(name)).toBeUndefined();
});

it.each([
  ["global", true],
  ["base/5", true],
  ["PG_15_202209061/16384", true],
  ["pg_tblspc/16399/PG_15_202209061/5", true],
  ["base", false],
  ["base/pgsql_tmp", false],
  ["pg_xact", false],
  ["x/base/5", false],
])("whether %s holds relations: %s", (path, holds) => {
  expect(isRelationDirectory(path)).toBe(holds);
});
