import { expect, test } from "vitest";
import { quantityBytes } from "./server-parameters.ts";

test.each([
  ["1Gi", 2 ** 30],
  ["10G", 1e10],
  ["1.5Ki", 1536],
  ["500m", 1],
  ["2e3", 2000],
  ["7", 7],
  [4096, 4096],
])("the quantity %s is %d bytes", (quantity, bytes) => {
  expect(quantityBytes(quantity)).toBe(bytes);
});
