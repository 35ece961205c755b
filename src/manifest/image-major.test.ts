import { expect, test } from "vitest";
import { majorOfImage } from "./image-major.ts";

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
