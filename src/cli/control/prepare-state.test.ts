import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeStateDirectory } from "./prepare-state.ts";

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-prepare-"));
  onTestFinished(async () => rm(folder, { recursive: true }));
  return folder;
}

const isRoot = process.getuid?.() === 0;
const nobody = { name: "nobody", uid: 65_534, gid: 65_534 };

test("folders above a new state directory let everybody through, and it nobody else", async () => {
  const folder = await temporary();
  const directory = join(folder, "a", "state");

  await makeStateDirectory(directory, isRoot ? nobody : undefined);

  expect((await stat(join(folder, "a"))).mode & 0o777).toBe(0o755);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(directory)).uid).toBe(isRoot ? nobody.uid : process.getuid?.());
});

test.runIf(isRoot)("a directory of root's that holds other things stays root's", async () => {
  const directory = join(await temporary(), "home");
  await mkdir(directory);
  await writeFile(join(directory, "letter"), "");

  await expect(makeStateDirectory(directory, nobody)).rejects.toMatchObject({
    code: "config",
    message: `"${directory}" belongs to root and holds other things`,
    hint: "Name a directory that is empty, or not there yet; everything in it will be the user nobody's.",
  });
  expect((await stat(directory)).uid).toBe(0);
});

test.runIf(isRoot)("an empty directory of root's, and one that is the user's, are taken", async () => {
  const directory = join(await temporary(), "state");
  await mkdir(directory);

  await makeStateDirectory(directory, nobody);
  await writeFile(join(directory, "control.db"), "");
  await makeStateDirectory(directory, nobody);

  expect((await stat(directory)).uid).toBe(nobody.uid);
});
