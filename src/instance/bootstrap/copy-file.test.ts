import { randomBytes } from "node:crypto";
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testFolder } from "../../postgres/testing/test-server.ts";
import { FileCopier } from "./copy-file.ts";

const running = () => new AbortController().signal;

test.each([0, 1, 8192, 256 * 1024, 256 * 1024 + 1, 5_000_000])(
  "a file of %i bytes is copied with its mode",
  async (size) => {
    await using folder = await testFolder();
    const [source, target] = [join(folder.path, "source"), join(folder.path, "target")];
    const content = randomBytes(size);
    await writeFile(source, content, { mode: 0o640 });

    await new FileCopier(folder.user, running()).copy(source, target);

    expect((await readFile(target)).equals(content)).toBe(true);
    const { mode, uid } = await stat(target);
    expect([mode & 0o777, uid]).toEqual([0o640, folder.user?.uid ?? process.getuid?.()]);
  },
);

test("a file that has vanished is left out", async () => {
  await using folder = await testFolder();
  const copier = new FileCopier(folder.user, running());

  expect(await copier.copy(join(folder.path, "gone"), join(folder.path, "target"))).toBeUndefined();
  await expect(stat(join(folder.path, "target"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a file that is cut short, or grows, as it is copied ends the copy all the same", async () => {
  await using folder = await testFolder();
  const source = join(folder.path, "source");
  await writeFile(source, randomBytes(64 * 1024 * 1024));
  const copier = new FileCopier(undefined, running());

  await using handle = await open(source, "r+");
  const copied = copier.copy(source, join(folder.path, "cut"));
  await handle.truncate(1_000_000);
  await copied;
  const growing = copier.copy(source, join(folder.path, "grown"));
  await handle.truncate(80_000_000);
  await growing;

  expect((await stat(join(folder.path, "cut"))).size).toBeLessThanOrEqual(64 * 1024 * 1024);
  expect((await stat(join(folder.path, "grown"))).size).toBeLessThanOrEqual(80_000_000);
});

test("an aborted copy ends at once", async () => {
  await using folder = await testFolder();
  const source = join(folder.path, "source");
  await writeFile(source, "x");

  const copying = new FileCopier(undefined, AbortSignal.abort()).copy(source, join(folder.path, "target"));

  await expect(copying).rejects.toMatchObject({ code: "aborted" });
});
