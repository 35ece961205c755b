import { expect, test } from "vitest";
import type { InstanceSpec } from "../../instance/instance-spec.ts";
import { sampleSpec } from "../../instance/process/testing/sample-spec.ts";
import { differs, withoutStatements, type WantedSpec } from "./instance-specs.ts";

const bootstrap: InstanceSpec["bootstrap"] = {
  kind: "initdb",
  application: { database: "app", owner: "app" },
  dataChecksums: true,
  encoding: "UTF8",
  arguments: [],
  postInitSql: ["CREATE ROLE reader PASSWORD 'secret'"],
  postInitTemplateSql: [],
  postInitApplicationSql: [],
};
const present = sampleSpec({ bootstrap });
const { version: _version, ...same } = present;

test("statements that have been run are a reason to write the specification anew, and are in it no more", () => {
  const wanted: WantedSpec = { ...same, bootstrap: withoutStatements(bootstrap) };

  expect(differs(wanted, present)).toBe(true);
  expect(differs(wanted, { ...wanted, version: 2 })).toBe(false);
  expect(JSON.stringify(wanted)).not.toContain("secret");
});

test("another way to come to be is no reason, nor are statements that are still to be run", () => {
  expect(differs(same, present)).toBe(false);
  expect(differs({ ...same, bootstrap: { ...bootstrap, encoding: "LATIN1" } }, present)).toBe(false);
});
