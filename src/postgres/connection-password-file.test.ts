import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findPassword, matchPasswordFile } from "./connection-password-file.ts";

const text = String.raw`# comment
broken line
db:5432:app:me:first
db:*:*:me:second
localhost:5432:*:*:socket
[\:\:1]:5432:*:*:escaped\:colon\\slash:rest`;
const question = { host: "db", port: 5432, database: "app", user: "me" };

test.each([
  [question, "first"],
  [{ ...question, database: "other" }, "second"],
  [{ ...question, host: "/tmp" }, "socket"],
  [{ ...question, host: "[::1]" }, String.raw`escaped:colon\slash`],
  [{ ...question, user: "you" }, undefined],
])("for %o the password is %j", (asked, password) => {
  expect(matchPasswordFile(text, asked)).toBe(password);
});

test("a password file that others can read does not count, nor does one that is absent", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  try {
    const path = join(folder, ".pgpass");
    expect(await findPassword(question, { HOME: folder })).toBeUndefined();
    await writeFile(path, text, { mode: 0o600 });
    expect((await findPassword(question, { HOME: folder }))?.reveal()).toBe("first");
    expect((await findPassword(question, { PGPASSFILE: path }))?.reveal()).toBe("first");
    await chmod(path, 0o640);
    expect(await findPassword(question, { PGPASSFILE: path })).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});
