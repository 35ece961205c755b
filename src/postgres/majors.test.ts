import { expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { majorFacts, parsePostgresMajor, supportedMajors } from "./majors.ts";
import { readFixtureFacts } from "./testing/fixtures.ts";

test.each(supportedMajors)("the versions of PostgreSQL %i are what its server says", async (major) => {
  const { pg_control } = await readFixtureFacts(major);

  expect(pg_control.system).toMatchObject({
    pg_control_version: majorFacts[major].controlVersion,
    catalog_version_no: majorFacts[major].catalogVersion,
  });
});

test.each([
  ["16\n", 16],
  ["18.4", 18],
  ["13.23 (Debian 13.23-0+deb12u1)", 13],
  ["postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15],
])("reads %j", (text, major) => {
  expect(parsePostgresMajor(text)).toBe(major);
});

test.each(["", "12.22", "9.6", "19beta1", "x16"])(
  "refuses %j and names the versions that would do",
  (text) => {
    expect(() => parsePostgresMajor(text)).toThrow(
      new EngineError("postgres-missing", `"${text}" is not a supported version of PostgreSQL`, {
        hint: "Use PostgreSQL 13 to 18.",
      }),
    );
  },
);
