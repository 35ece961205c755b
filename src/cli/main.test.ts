import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
/** A module that throws where nobody catches it, a moment after the program has begun. */
const bug = `data:text/javascript,${encodeURIComponent('setTimeout(() => { throw new Error("a bug"); }, 0);')}`;

async function statusOf(words: readonly string[]): Promise<unknown> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", bug, main, ...words], (error) => resolve(error?.code));
  });
}

test("a bug that ends the program never tells a restore_command that a file is absent", async () => {
  const fetch = ["wal", "fetch", "000000010000000000000001", "RECOVERYXLOG", "--repo", "/nowhere"];

  expect(await statusOf([...fetch, "--server", "main"])).toBe(150);
  expect(await statusOf(["base", "list", "--repo", "/nowhere", "--server", "main"])).toBe(1);
});
