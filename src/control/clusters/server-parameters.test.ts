import { expect, test } from "vitest";
import { majorOfImage, quantityBytes } from "./server-parameters.ts";

test.each([
  ["ghcr.io/cloudnative-pg/postgresql:17", 17],
  ["ghcr.io/cloudnative-pg/postgresql:16.4-12", 16],
  ["ghcr.io/cloudnative-pg/postgresql:17.5-minimal-bookworm", 17],
  ["registry.example:5000/pg:15.8@sha256:0123", 15],
  ["postgresql:18beta1", 18],
  ["registry.example:5000/pg", undefined],
  ["postgres:latest", undefined],
  ["postgres", undefined],
  ["registry.example/pg@sha256:17ab", undefined],
])("the image %s is of PostgreSQL %s", (image, major) => {
  expect(majorOfImage(image)).toBe(major);
});

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
