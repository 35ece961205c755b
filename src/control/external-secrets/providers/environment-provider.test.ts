import { expect, test } from "vitest";
import { textOf } from "../testing/secret-folder.ts";
import { EnvironmentProvider } from "./environment-provider.ts";

const provider = new EnvironmentProvider("TIDEMARK_SECRET_", {
  TIDEMARK_SECRET_PASSWORD: "hunter2",
  TIDEMARK_SECRET_R2: '{"id": "AKIA"}',
  AWS_SECRET_ACCESS_KEY: "not for manifests",
});

test("a variable is a value, or a JSON object of them", async () => {
  expect(textOf(await provider.get({ key: "PASSWORD" }))).toBe("hunter2");
  expect(textOf(await provider.get({ key: "R2", property: "id" }))).toBe("AKIA");
});

test("without the prefix nothing is there, and of an object what it does not have", async () => {
  expect(await provider.get({ key: "AWS_SECRET_ACCESS_KEY" })).toBeUndefined();
  expect(await provider.get({ key: "R2", property: "key" })).toBeUndefined();
});

test("what is not JSON has no properties, and is not said", async () => {
  await expect(provider.get({ key: "PASSWORD", property: "id" })).rejects.toThrow(
    'variable "TIDEMARK_SECRET_PASSWORD" is not JSON, and property "id" of it was asked for',
  );
});
