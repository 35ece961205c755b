import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseListen, readApiToken } from "./api-token.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidemark-token-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test("a token is made once, for its owner alone, and stays", async () => {
  const made = await readApiToken(folder);

  expect(await readApiToken(folder)).toEqual(made);
  expect(made.token.length).toBeGreaterThanOrEqual(32);
  expect((await stat(made.path)).mode & 0o777).toBe(0o600);
});

test("a token that others may read, or that is none, is refused", async () => {
  const { path } = await readApiToken(folder);
  await chmod(path, 0o644);
  await expect(readApiToken(folder)).rejects.toMatchObject({
    code: "config",
    message: `others may read "${path}"`,
  });

  await rm(path);
  await writeFile(path, "short\n", { mode: 0o600 });
  await expect(readApiToken(folder)).rejects.toMatchObject({ code: "config" });
});

test.each([
  ["8090", { host: "127.0.0.1", port: 8090 }],
  ["localhost:8090", { host: "localhost", port: 8090 }],
  ["[::1]:0", { host: "::1", port: 0 }],
])("--listen %s is understood", (text, expected) => {
  expect(parseListen(text)).toEqual(expected);
});

test.each(["", "http", "127.0.0.1", "::1:8090", "99999", "127.0.0.1:"])("--listen %s is refused", (text) => {
  expect(() => parseListen(text)).toThrow(/--listen is/);
});
