import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { referencePages } from "../scripts/reference.ts";

describe("the generated reference", async () => {
  it.each([...(await referencePages())])("%s is what `npm run reference` writes", async (path, text) => {
    await expect(readFile(new URL(`../${path}`, import.meta.url), "utf8")).resolves.toBe(text);
  });
});
