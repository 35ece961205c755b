import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
/** A module that throws where nobody catches it, a moment after the program has begun. */
const bug = `data:text/javascript,${encodeURIComponent('setTimeout(() => { throw new Error("a bug"); }, 0);')}`;

async function statusOf(words: readonly string[], flags: readonly string[] = []): Promise<unknown> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...flags, main, ...words], { timeout: 20_000 }, (error) =>
      resolve(error?.signal ?? error?.code),
    );
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

test("it ends with its status although a call on a file system that hangs never comes back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hanging-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const pipe = join(folder, "pipe");
  await promisify(execFile)("mkfifo", [pipe]);
  // Waits for a writer, in a thread of the pool.
  const hang = `import { open } from "node:fs"; open(${JSON.stringify(pipe)}, "r", () => undefined);`;
  const hanging = ["--import", `data:text/javascript,${encodeURIComponent(hang)}`];

  const [version, failed] = await Promise.all([
    statusOf(["--version"], hanging),
    statusOf(["base", "list", "--repo", "/nowhere", "--server", "main"], hanging),
  ]);

  expect([version, failed]).toEqual([undefined, 12]);
});

test("output that could not be written is a failure, and not a shorter output", async () => {
  const words = ["-c", `"$0" "$1" schema > /dev/full`, process.execPath, main];
  const ended = new Promise<{ readonly code: unknown; readonly stderr: string }>((resolve) => {
    execFile("/bin/sh", words, { timeout: 20_000 }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });

  const { code, stderr } = await ended;

  expect(code).not.toBe(undefined);
  expect(stderr).toContain('"standard output"');
  expect(stderr).toContain("no space left");
});
