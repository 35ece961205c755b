import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { openEachRepository } from "./open-each-repository.ts";
import { closeRepositories } from "./open-repositories.ts";
import { parseServerName } from "./server-name.ts";

const common = {
  server: parseServerName("pg"),
  log: silentLog,
  access: { kind: "write", spoolDirectory: undefined },
  signal: new AbortController().signal,
} as const;

test("a repository that cannot be opened keeps its place and name, and fails when it is used", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "each-"));
  await writeFile(join(folder.path, "file"), "");

  const repositories = await openEachRepository({
    ...common,
    settings: [{ url: join(folder.path, "file"), server: "other" }, { url: join(folder.path, "good") }],
  });

  const [bad, good] = repositories;
  expect(repositories.map(({ name, server }) => [name, server])).toEqual([
    ["repo1", "other"],
    ["repo2", "pg"],
  ]);
  const reason = { message: expect.stringContaining(join(folder.path, "file")) as string };
  await expect(bad?.store.head("key")).rejects.toMatchObject(reason);
  const listing = async () => {
    for await (const _ of bad?.store.list("") ?? []) expect.fail("there is nothing");
  };
  await expect(listing()).rejects.toMatchObject(reason);
  expect(await good?.store.head("key")).toBeUndefined();
  await closeRepositories(repositories);
});

test("a mistake in the settings is one, whatever the other stores say", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "each-"));
  const good = { url: join(folder.path, "good") };

  await expect(
    openEachRepository({ ...common, settings: [good, { url: "ftp://nowhere" }] }),
  ).rejects.toMatchObject({ code: "usage" });
});
