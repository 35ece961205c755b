import { expect, test } from "vitest";
import { differs } from "./server-facts.ts";

const shown = {
  port: ["5432", "5432"],
  listen_addresses: ["", ""],
  archive_mode: ["on", "on"],
  archive_timeout: ["300", "5min"],
} as const;

test.each([
  ["the same", { port: "5432", archive_mode: "on", listen_addresses: "" }, false],
  ["the same in another unit", { archive_timeout: "5min" }, false],
  ["the same in the unit of the parameter", { archive_timeout: "300" }, false],
  ["another", { port: "5433" }, true],
  ["one that was empty", { listen_addresses: "localhost" }, true],
  ["one that the server does not know", { archive_library: "" }, false],
])("a setting that is %s", (_title, wanted, result) => {
  expect(differs(shown, wanted)).toBe(result);
});
