import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../archive/testing/archive-bench.ts";
import { prefetchRootOf } from "../../agent/shell-text.ts";
import { instanceFolder } from "../instance-folder.ts";
import { configurationFiles } from "./configuration-files.ts";
import { askedFile, rescuedFolder, restoreScript } from "./standby-restore.ts";

/** A standby whose archive is a folder; the program, a shell script, copies out of it. */
async function standby() {
  const root = await temporaryFolder();
  const folder = instanceFolder(root);
  const archive = join(root, "archive");
  await mkdir(archive);
  await mkdir(folder.configuration);
  await writeFile(configurationFiles(folder).standby, "{}");
  const program = join(root, "program.sh");
  await writeFile(program, `echo "$5" >>"${root}/fetched"; exec cp "${archive}/$5" "$6"\n`);
  const script = join(root, "restore.sh");
  await writeFile(script, restoreScript(folder, ["/bin/sh", program]));
  return {
    folder,
    put: async (name: string) => writeFile(join(archive, name), name),
    fetched: async () => readFile(join(root, "fetched"), "utf8").catch(() => ""),
    ask: async (name: string) =>
      new Promise<number>((resolve) => {
        execFile("/bin/sh", [script, join(root, "restored"), name], (error) =>
          resolve(error === null ? 0 : Number(error.code)),
        );
      }),
  };
}

test("the archive is asked only for what neither pg_wal nor the primary had, then until it has no more", async () => {
  const { put, ask, fetched } = await standby();
  for (const name of ["A1", "A2", "A3", "A4"]) await put(name);

  // Its own, each once.
  expect([await ask("A1"), await ask("A2")]).toEqual([1, 1]);
  expect(await fetched()).toBe("");
  // The primary did not have it.
  expect([await ask("A2"), await ask("A3"), await ask("A4"), await ask("A5")]).toEqual([0, 0, 0, 1]);
  expect(await ask("A6")).toBe(1);
  expect(await fetched()).toBe("A2\nA3\nA4\nA5\n");
});

test("at a switch of timelines each of the names is tried, and again and again while nobody has any", async () => {
  const { put, ask, fetched } = await standby();

  expect([await ask("B1"), await ask("A1"), await ask("B1"), await ask("A1")]).toEqual([1, 1, 1, 1]);
  await put("A1");
  expect([await ask("B1"), await ask("A1"), await ask("B2"), await ask("A2")]).toEqual([1, 0, 1, 1]);

  expect(await fetched()).toBe("B1\nA1\nB1\nA1\nB2\n");
});

test("after a number of segments the primary gets another turn, and a server that starts begins anew", async () => {
  const { folder, put, ask } = await standby();
  for (let segment = 0; segment < 35; segment++) await put(`A${segment}`);
  await ask("A0");
  for (let segment = 0; segment < 32; segment++) expect(await ask(`A${segment}`)).toBe(0);

  expect([await ask("A32"), await ask("A32"), await ask("A33")]).toEqual([1, 0, 0]);
  await rm(askedFile(folder));
  expect(await ask("A34")).toBe(1);
});

test("what was rescued is given at once; histories are not asked for", async () => {
  const { folder, put, ask, fetched } = await standby();
  await mkdir(rescuedFolder(folder));
  await writeFile(join(rescuedFolder(folder), "A1"), "");
  await put("00000002.history");

  expect([await ask("A1"), await ask("00000002.history"), await ask("00000002.history")]).toEqual([0, 1, 1]);
  expect(await fetched()).toBe("");
});

test("where the instance's process fetches ahead it is asked, and no program is started", async () => {
  const { folder, put, ask, fetched } = await standby();
  await put("A1");
  const ahead = prefetchRootOf(folder.data);
  await mkdir(ahead, { recursive: true });
  await writeFile(join(ahead, "restore.sh"), `test "$2" = A1 && echo ahead >"$1"\n`);

  expect([await ask("A1"), await ask("A1"), await ask("A2")]).toEqual([1, 0, 1]);
  expect(await readFile(join(folder.root, "restored"), "utf8")).toBe("ahead\n");
  expect(await fetched()).toBe("");
});
