import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { instanceFolder } from "../instance-folder.ts";
import { parseInstanceSpec, readInstanceSpec } from "./spec-file.ts";
import { sampleArchive, sampleSpec } from "./testing/sample-spec.ts";

const path = "/x/instance.json";
const refusal = (text: string) => {
  try {
    parseInstanceSpec(text, path);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
};

test("a specification is read as it was written", async () => {
  const folder = instanceFolder(await temporaryFolder());
  const spec = sampleSpec({ archive: sampleArchive("/srv/backup") });
  await writeFile(folder.spec, JSON.stringify(spec));

  expect(await readInstanceSpec(folder)).toEqual(spec);
});

test.each([
  ["is not JSON, without quoting it", '{"format": 1, "passw', `could not read "${path}": it is not JSON`],
  [
    "lacks or misspells something, with its place",
    JSON.stringify({ ...sampleSpec(), port: "5432", prot: 1 }),
    `could not read "${path}": port: Invalid input: expected number, received string; Unrecognized key: "prot"`,
  ],
  [
    "is of a later format",
    JSON.stringify({ ...sampleSpec(), format: 2 }),
    `could not read "${path}": format: Invalid input: expected 1`,
  ],
])("one is refused that %s", (_title, text, message) => {
  expect(refusal(text)).toBe(message);
});

test("a folder without one is none of an instance", async () => {
  const root = join(await temporaryFolder(), "empty");
  await mkdir(root);

  await expect(readInstanceSpec(instanceFolder(root))).rejects.toMatchObject({
    code: "config",
    message: `"${root}" is not the folder of an instance: it has no "instance.json"`,
  });
});
