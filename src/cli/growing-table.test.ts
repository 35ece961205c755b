import { expect, test } from "vitest";
import { GrowingTable } from "./growing-table.ts";

test("later rows are set to the columns of the first ones, and have no second title", () => {
  const table = new GrowingTable(["NAME", "PHASE"]);

  expect(table.render([])).toBe("");
  expect(table.render([["daily-1", "running"]])).toBe("NAME      PHASE\ndaily-1   running\n");
  expect(table.render([["b", "failed"]])).toBe("b         failed\n");
  expect(table.render([["daily-number-2", ""]])).toBe("daily-number-2\n");
  expect(table.render([["b", "two\n  lines"]])).toBe("b                two lines\n");
});
