import { execFileSync } from "node:child_process";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  folderWith,
  neverAborted,
  temporaryFolder,
  textOf,
  writeSecretFile,
} from "../testing/secret-folder.ts";
import { DirectoryProvider } from "./directory-provider.ts";

const get = async (folder: string, key: string, property?: string) =>
  new DirectoryProvider(folder).get({ key, property }, neverAborted);

test("a file is a value, without the newline that an editor puts behind it", async () => {
  const folder = await folderWith({
    password: "hunter2\n",
    "databases/shop": "a\r\n",
    two: "a\n\n",
    none: "a",
  });

  expect(textOf(await get(folder, "password"))).toBe("hunter2");
  expect(textOf(await get(folder, "databases/shop"))).toBe("a");
  expect(textOf(await get(folder, "two"))).toBe("a\n");
  expect(textOf(await get(folder, "none"))).toBe("a");
});

test("bytes that are no text stay as they are", async () => {
  const binary = Buffer.from([0xff, 0xfe, 0x0a]);
  const folder = await folderWith({ key: binary, zero: Buffer.from("a\0\n") });

  expect(await get(folder, "key")).toEqual(binary);
  expect(await get(folder, "zero")).toEqual(Buffer.from("a\0\n"));
});

test("a property is a field of a JSON file", async () => {
  const folder = await folderWith({ r2: '{"id": "AKIA", "nested": {"key": "s3cret"}}\n', plain: "hunter2" });

  expect(textOf(await get(folder, "r2", "id"))).toBe("AKIA");
  expect(textOf(await get(folder, "r2", "nested.key"))).toBe("s3cret");
  expect(await get(folder, "r2", "absent")).toBeUndefined();
  const failure = await get(folder, "plain", "id").catch((error: unknown) => error);
  expect(String(failure)).toContain(`"plain" in directory "${folder}" is not JSON`);
  expect(JSON.stringify(failure)).not.toContain("hunter2");
});

test("what is not there is absent, and so is a folder", async () => {
  const folder = await folderWith({ "a/b": "c" });

  for (const key of ["x", "a", "a/b/c", "a/x"]) expect(await get(folder, key)).toBeUndefined();
});

test.each(["../outside", "a/../../outside", "/etc/passwd", "", "a//b", "./a", ".", "..", "a\0b"])(
  "the key %j is refused",
  async (key) => {
    const folder = await folderWith({ a: "b" });

    await expect(get(folder, key)).rejects.toMatchObject({ code: "config" });
  },
);

test("links lead within the directory, and never out of it", async () => {
  const outside = await folderWith({ passwd: "root" });
  const folder = await folderWith({ "..2026/password": "new" });
  await symlink("..2026", join(folder, "..data"));
  await symlink("..data/password", join(folder, "password"));
  await symlink(join(outside, "passwd"), join(folder, "stolen"));
  await symlink(outside, join(folder, "elsewhere"));
  await symlink("loop", join(folder, "loop"));

  expect(textOf(await get(folder, "password"))).toBe("new");
  for (const key of ["stolen", "elsewhere/passwd"]) {
    await expect(get(folder, key)).rejects.toThrow(`"${key}" leads out of directory "${folder}"`);
  }
  await expect(get(folder, "loop")).rejects.toMatchObject({ code: "secret-unavailable" });
});

test("the directory itself may be a link", async () => {
  const folder = await folderWith({ a: "b" });
  const link = join(await temporaryFolder(), "link");
  await symlink(folder, link);

  expect(textOf(await get(link, "a"))).toBe("b");
});

test("a pipe is no secret, and holds nobody up; nor is what no Secret could hold", async () => {
  const folder = await folderWith({ large: Buffer.alloc(1024 * 1024 + 1) });
  execFileSync("mkfifo", [join(folder, "pipe")]);

  await expect(get(folder, "pipe")).rejects.toThrow(/"pipe" in .* is not a file/);
  await expect(get(folder, "large")).rejects.toThrow(/larger than the 1 MiB/);
});

test("a directory that is not there is a failure, not an empty one", async () => {
  const folder = join(await temporaryFolder(), "absent");

  await expect(get(folder, "a")).rejects.toMatchObject({ code: "secret-unavailable" });
});

test("a version is refused: another value than the one meant is worse than none", async () => {
  const folder = await folderWith({ a: "b" });

  await expect(new DirectoryProvider(folder).get({ key: "a", version: "2" }, neverAborted)).rejects.toThrow(
    'version "2" of "a" was asked for',
  );
});

test("names are found, in all folders but hidden ones, below a path if one is given", async () => {
  const outside = await folderWith({ "db-c": "3" });
  const folder = await folderWith({
    "db-a": "1",
    "sub/db-b": "2",
    "sub/deep/db-d": "4",
    other: "5",
    ".hidden/db-x": "6",
    "..data/db-y": "7",
  });
  await mkdir(join(folder, "empty"));
  await symlink(join(folder, "sub"), join(folder, "db-link"));
  const provider = new DirectoryProvider(folder);
  const find = async (path: string | undefined) =>
    [...(await provider.find({ path, matches: (key) => key.includes("db-") }, neverAborted))].map(
      ([key, value]) => `${key}=${textOf(value)}`,
    );

  expect(await find(undefined)).toEqual(["db-a=1", "sub/db-b=2", "sub/deep/db-d=4"]);
  expect(await find("sub")).toEqual(["sub/db-b=2", "sub/deep/db-d=4"]);
  expect(await find("absent")).toEqual([]);
  await expect(find("..")).rejects.toMatchObject({ code: "config" });
  await symlink(outside, join(folder, "out"));
  expect(await find("out")).toEqual([]);
});

test("what may not be read is said by name", async () => {
  // Root may read everything.
  if (process.getuid?.() === 0) return;
  const folder = await temporaryFolder();
  await writeSecretFile(folder, "a", "b");
  await chmod(join(folder, "a"), 0);

  await expect(get(folder, "a")).rejects.toThrow(
    `could not read "a" in directory "${folder}": permission denied`,
  );
});
