import { execFile } from "node:child_process";
import { chmod, copyFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { draftOf, keyOf } from "./resource.ts";
import { draft, key } from "./testing/drafts.ts";
import { temporaryResources, type TemporaryResources } from "./testing/temporary-resources.ts";

const run = promisify(execFile);

/** Files of the folder that hold the text. Not read by this process: closing a database file would end its lock. */
async function filesWith(text: string, folder: string): Promise<string[]> {
  const found = await run("grep", ["-rlaF", "-e", text, folder]).catch((error: { readonly code: number }) => {
    // grep: nothing found.
    if (error.code !== 1) throw error;
    return { stdout: "" };
  });
  return found.stdout.split("\n").filter((line) => line !== "");
}

/** A closed store with two Secrets. */
async function storeWithSecrets(): Promise<TemporaryResources> {
  const resources = await temporaryResources();
  const store = await resources.open();
  for (const name of ["a", "b"])
    store.create(draft("Secret", name, { content: { data: { password: name } } }));
  store.create(draft("ConfigMap", "c", { content: { data: { open: "yes" } } }));
  store[Symbol.dispose]();
  return resources;
}

function change(path: string, sql: string): void {
  using database = new DatabaseSync(path);
  database.exec(sql);
}

const lost =
  "Put the right key file back: without it they cannot be read. If it is lost, move the database away and apply the manifests again.";

describe("a Secret", () => {
  it("leaves no readable byte on the disk but its name, whatever holds it and whatever became of it", async () => {
    const { folder, open } = await temporaryResources();
    const words = [
      "content-6f1e",
      "annotation-6f1e",
      "label-6f1e",
      "status-6f1e",
      "later-6f1e",
      "short-6f1e",
    ] as const;
    const store = await open();
    const created = store.create(
      draft("Secret", "named-6f1e", {
        content: { stringData: { password: words[0] } },
        annotations: { "last-applied": words[1] },
        labels: { "label-6f1e": "x" },
      }),
    );
    store.setStatus(keyOf(created), { note: words[3] }, {});
    store.update({ ...draftOf(created), content: { stringData: { password: words[4] } } });
    store.delete(keyOf(store.create(draft("Secret", "short", { content: { data: { x: words[5] } } }))));
    store.create(draft("ConfigMap", "plain", { content: { data: { x: "plain-6f1e" } } }));

    const look = async () => Promise.all(words.map(async (word) => filesWith(word, folder)));
    expect(await look()).toEqual(words.map(() => []));
    // The search does find what is not secret.
    expect(await filesWith("plain-6f1e", folder)).not.toEqual([]);
    expect(await filesWith("named-6f1e", folder)).not.toEqual([]);
    store[Symbol.dispose]();

    expect(await look()).toEqual(words.map(() => []));
    const reopened = (await open()).require(keyOf(created));
    expect(reopened.content).toEqual({ stringData: { password: words[4] } });
    expect(reopened.metadata).toMatchObject({
      annotations: { "last-applied": words[1] },
      labels: { "label-6f1e": "x" },
    });
    expect(reopened.status).toEqual({ note: words[3] });
  });

  it("is encrypted differently each time", async () => {
    const { path, open } = await temporaryResources();
    const store = await open();
    for (const name of ["a", "b"])
      store.create(draft("Secret", name, { content: { data: { same: "same" } } }));
    store[Symbol.dispose]();

    using database = new DatabaseSync(path);
    const rows = database.prepare("SELECT hex(sealed) AS sealed FROM object").all();
    expect(new Set(rows.map(({ sealed }) => String(sealed).slice(0, 24))).size).toBe(2);
  });

  it("lies in files that only their owner may open, also after they were open to all", async () => {
    const { folder, path, open } = await temporaryResources();
    const modes = async () =>
      Promise.all(
        (await readdir(folder))
          .sort()
          .map(async (name) => [name, (await stat(join(folder, name))).mode & 0o777]),
      );
    const store = await open();
    store.create(draft("Secret", "a"));
    expect(await modes()).toEqual([
      ["resources.db", 0o600],
      ["resources.db-wal", 0o600],
      ["resources.key", 0o600],
    ]);
    store[Symbol.dispose]();
    await chmod(path, 0o644);

    const reopened = await open();
    reopened.create(draft("Secret", "b"));

    expect(await modes()).toEqual([
      ["resources.db", 0o600],
      ["resources.db-wal", 0o600],
      ["resources.key", 0o600],
    ]);
  });

  it("cannot be put in the place of another, nor take another's name, nor become a kind that is shown", async () => {
    const swaps = [
      "UPDATE object SET sealed = (SELECT sealed FROM object WHERE name = 'a') WHERE name = 'b'",
      "UPDATE object SET uid = 'x' || uid WHERE name = 'b'",
      "DELETE FROM object WHERE name = 'a'; UPDATE object SET name = 'a' WHERE name = 'b'",
      "UPDATE object SET kind = 'ConfigMap' WHERE name = 'b'",
      "UPDATE object SET sealed = NULL, plain = (SELECT plain FROM object WHERE name = 'c') WHERE name = 'b'",
      "UPDATE object SET sealed = substr(sealed, 1, 20) WHERE name = 'b'",
      "UPDATE object SET sealed = x'' WHERE name = 'b'",
    ];
    for (const swap of swaps) {
      const { path, open } = await storeWithSecrets();
      change(path, swap);

      await expect(open()).rejects.toMatchObject({
        code: "config",
        message: expect.stringMatching(
          /^the database ".*resources\.db" is damaged: "(Secret|ConfigMap) production\/[ab]" cannot be read$/,
        ),
        hint: "Put back a copy of the database, or move it away and apply the manifests again: the instances go on meanwhile.",
      });
    }
  });

  it("says nothing of itself in an error about a damaged row", async () => {
    const { path, open } = await temporaryResources();
    const store = await open();
    store.create(draft("ConfigMap", "c", { content: { data: { x: "word-6f1e" } } }));
    store[Symbol.dispose]();
    change(path, "UPDATE object SET plain = replace(plain, '\"data\"', 'data')");

    const error = await open().catch((error: unknown) => error as Error);

    expect(error).toMatchObject({
      code: "config",
      message: expect.stringContaining('"ConfigMap production/c"'),
    });
    expect((error as Error).cause).toBeUndefined();
  });
});

describe("the key file", () => {
  it("is needed for a store with Secrets, and none is made in its place", async () => {
    const { keyFile, path, open } = await storeWithSecrets();
    await rm(keyFile);

    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the key file "${keyFile}" of the 2 Secrets in the database "${path}" does not exist`,
      hint: lost,
    });
    await expect(stat(keyFile)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("must be the one that the Secrets were encrypted with", async () => {
    const { keyFile, path, open } = await storeWithSecrets();
    const other = await storeWithSecrets();
    await copyFile(other.keyFile, keyFile);

    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the key file "${keyFile}" is not the one of the 2 Secrets in the database "${path}"`,
      hint: lost,
    });
  });

  it("may be another one, or a new one, while there is no Secret", async () => {
    const { keyFile, open } = await temporaryResources();
    const first = await open();
    first.delete(keyOf(first.create(draft("Secret", "s"))));
    first[Symbol.dispose]();
    await rm(keyFile);
    const second = await open();
    second.create(draft("Secret", "s", { content: { data: {} } }));
    second[Symbol.dispose]();

    expect((await open()).require(key("Secret", "s")).content).toEqual({ data: {} });
  });

  it("is refused when others may read it, and when it holds anything but a key, without saying what", async () => {
    const { keyFile, open } = await temporaryResources();
    await writeFile(keyFile, "hunter2-6f1e\n", { mode: 0o600 });
    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the key file "${keyFile}" does not hold a key of 32 bytes in base 64`,
    });
    await chmod(keyFile, 0o640);
    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the key file "${keyFile}" can be read by other users`,
    });
  });

  it("is kept when the store is opened again", async () => {
    const { open } = await storeWithSecrets();

    expect((await open()).require(key("Secret", "b")).content).toEqual({ data: { password: "b" } });
  });
});
