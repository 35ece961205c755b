import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
/** A module that throws where nobody catches it, a moment after the program has begun. */
const bug = `data:text/javascript,${encodeURIComponent('setTimeout(() => { throw new Error("a bug"); }, 0);')}`;

async function statusOf(words: readonly string[], flags: readonly string[] = []): Promise<unknown> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...flags, main, ...words], (error) => resolve(error?.code));
  });
}

test("a bug that ends the program never tells a restore_command that a file is absent", async () => {
  const fetch = ["wal", "fetch", "000000010000000000000001", "RECOVERYXLOG", "--repo", "/nowhere"];

  expect(await statusOf([...fetch, "--server", "main"], ["--import", bug])).toBe(150);
  const list = ["base", "list", "--repo", "/nowhere", "--server", "main"];
  expect(await statusOf(list, ["--import", bug])).toBe(1);
});

test.each([
  [150, ["wal", "--config", "/nowhere", "fetch", "000000010000000000000001", "RECOVERYXLOG"]],
  [150, ["wal", "ftech", "000000010000000000000001", "RECOVERYXLOG"]],
  [150, ["wal", "fetch", "--nonsense", "000000010000000000000001", "RECOVERYXLOG"]],
  [2, ["wal", "push", "--nonsense", "000000010000000000000001"]],
  [2, ["wal", "nonsense"]],
])("a command line that is not understood ends with %i: %j", async (status, words) => {
  expect(await statusOf(words)).toBe(status);
});
