import { mkdtemp, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeDurableDirectory } from "./durable-file.ts";
import { watchSyncs } from "./testing/synced-folders.ts";

test("a directory is made with its parents, and each entry on the way is synced, once", async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "durable-")));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const synced = await watchSyncs();

  expect(await makeDurableDirectory(join(folder, "a", "b", "c"))).toBe(join(folder, "a"));
  expect(await makeDurableDirectory(join(folder, "a", "b", "c"))).toBeUndefined();

  expect((await stat(join(folder, "a", "b", "c"))).mode & 0o777).toBe(0o700);
  expect(synced).toEqual([join(folder, "a", "b"), join(folder, "a"), folder]);
});
