import {
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { watchSyncs } from "../../common/testing/synced-folders.ts";
import { testObjectStore } from "../testing/conformance.ts";
import { openFileStore } from "./file-store.ts";

async function makeRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tidemark-file-store-"));
  onTestFinished(async () => rm(root, { recursive: true, force: true }));
  return root;
}

testObjectStore("the directory adapter", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-conformance-"));
  return Object.assign(await openFileStore({ root }), {
    [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true }),
  });
});

describe("the directory adapter", () => {
  test("refuses a root that does not exist, and says what to do", async () => {
    const root = join(await makeRoot(), "missing");

    await expect(openFileStore({ root })).rejects.toMatchObject({
      code: "store-missing",
      message: `directory "${root}" does not exist`,
      hint: "Create it, or mount the file system it is on; a directory of backups is not created by guess.",
    });
    await expect(openFileStore({ root: join(root, "deeper") })).rejects.toMatchObject({
      code: "store-missing",
    });
    expect((await openFileStore({ root, createRoot: true })).url).toBe(root);
    expect((await stat(root)).mode & 0o777).toBe(0o700);
  });

  test("gives what root writes to the owner of the directory, lest it is closed to him", async () => {
    const root = await makeRoot();
    const isRoot = process.getuid?.() === 0;
    const owner = isRoot ? 4321 : (await stat(root)).uid;
    if (isRoot) await chown(root, owner, owner);
    const store = await openFileStore({ root });

    await store.put("deep/er/x", [Buffer.from("x")]);

    for (const path of ["deep", "deep/er", "deep/er/x"]) {
      expect((await stat(join(root, path))).uid).toBe(owner);
    }
  });

  test("makes a root durably, up to the parent that was there", async () => {
    const parent = await realpath(await makeRoot());
    const synced = await watchSyncs();

    await openFileStore({ root: join(parent, "a", "b"), createRoot: true });

    expect(synced).toEqual([join(parent, "a"), parent]);
  });

  test("refuses a root that is a file", async () => {
    const root = join(await makeRoot(), "file");
    await writeFile(root, "");

    await expect(openFileStore({ root })).rejects.toMatchObject({
      code: "store-missing",
      message: `"${root}" is not a directory`,
    });
    const later = await openFileStore({ root, allowMissingRoot: true });
    await expect(later.head("a")).rejects.toMatchObject({ code: "store-missing" });
    await expect(Array.fromAsync(later.list(""))).rejects.toMatchObject({ code: "store-missing" });
  });

  test("does not take a vanished root for an empty store", async () => {
    const root = join(await makeRoot(), "root");
    const store = await openFileStore({ root, createRoot: true });
    await store.put("a/b", [Buffer.from("x")]);
    const upload = await store.startUpload("a/c");
    await rename(root, `${root}-unmounted`);

    const missing = { code: "store-missing" };
    await expect(store.head("a/b")).rejects.toMatchObject(missing);
    await expect(store.get("a/b")).rejects.toMatchObject(missing);
    await expect(store.put("a/b", [])).rejects.toMatchObject(missing);
    await expect(store.startUpload("a/b")).rejects.toMatchObject(missing);
    await expect(store.delete(["a/b"])).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.list(""))).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.abandonedUploads(""))).rejects.toMatchObject(missing);
    await expect(upload.complete()).rejects.toMatchObject(missing);
    await rename(`${root}-unmounted`, root);
    await upload.abort();
  });

  test("can be opened before its root is there, and works once it is", async () => {
    const root = join(await makeRoot(), "mounted-later");
    const store = await openFileStore({ root, allowMissingRoot: true });

    await expect(store.head("a")).rejects.toMatchObject({ code: "store-missing" });
    await expect(store.put("a", [])).rejects.toMatchObject({ code: "store-missing" });
    await mkdir(root);
    await store.put("a", [Buffer.from("x")]);
    expect(await store.head("a")).toMatchObject({ sizeBytes: 1 });
  });

  test("is where its first object was: an empty mount point before that is forgotten, one after it is refused", async () => {
    const disk = await mkdtemp("/dev/shm/tidemark-file-store-");
    onTestFinished(async () => rm(disk, { recursive: true, force: true }));
    const mountPoint = await makeRoot();
    const root = `${mountPoint}-link`;
    onTestFinished(async () => rm(root, { force: true }));
    const point = async (to: string) => {
      await symlink(to, `${root}.new`);
      await rename(`${root}.new`, root);
    };
    await writeFile(join(disk, "a"), "x");
    await point(mountPoint);
    const store = await openFileStore({ root });
    expect(await store.head("a")).toBeUndefined();

    await point(disk);
    expect(await store.head("a")).toMatchObject({ sizeBytes: 1 });
    await store.put("b", [Buffer.from("y")]);

    await point(mountPoint);
    await expect(store.head("a")).rejects.toMatchObject({ code: "store-missing" });
    await expect(store.put("b", [])).rejects.toMatchObject({ code: "store-missing" });
  });

  test("publishes nothing after the caller has given up, whose memory may hold other bytes by then", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    const { signal } = new AbortController();
    /** Fires at the third look: before the object begins, and before its bytes are written, it has not. */
    let looks = 0;
    const late = new Proxy(signal, {
      get: (target, name): unknown => (name === "aborted" ? ++looks > 2 : Reflect.get(target, name, target)),
    });

    await expect(store.put("a", [Buffer.from("x")], { signal: late })).rejects.toMatchObject({
      code: "aborted",
    });

    expect(await readdir(root)).toEqual([]);
  });

  test("objects are readable by their owner only, unless told otherwise", async () => {
    const root = await makeRoot();
    await (await openFileStore({ root })).put("private/object", [Buffer.from("x")]);
    await (await openFileStore({ root, fileMode: 0o640, directoryMode: 0o750 })).put("shared/object", []);

    const mode = async (path: string): Promise<number> => (await stat(join(root, path))).mode & 0o777;
    expect([await mode("private"), await mode("private/object")]).toEqual([0o700, 0o600]);
    expect([await mode("shared"), await mode("shared/object")]).toEqual([0o750, 0o640]);
  });

  test("leaves nothing behind a failed write", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    await store.put("dir/object", [Buffer.from("x")]);

    await expect(store.put("dir", [Buffer.from("x")])).rejects.toMatchObject({
      code: "file-io",
      message: `could not write "dir" in "${root}": a file stands where the key needs a directory, or the other way round`,
    });
    await expect(store.put("dir/object/below", [Buffer.from("x")])).rejects.toMatchObject({
      code: "file-io",
    });
    await expect(store.put("dir/object", [], { ifAbsent: true })).rejects.toMatchObject({
      code: "object-exists",
    });

    expect(await readdir(root)).toEqual(["dir"]);
    expect(await readdir(join(root, "dir"))).toEqual(["object"]);
  });

  test("lists regular files only: no links, no unfinished files, no names that are no keys", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    await store.put("real", [Buffer.from("x")]);
    await symlink(join(root, "real"), join(root, "link"));
    await symlink("/etc", join(root, "linked-directory"));
    await mkdir(join(root, "empty"));
    await writeFile(join(root, ".tidemark-unfinished"), "");
    await writeFile(join(root, "line\nbreak"), "");

    expect((await Array.fromAsync(store.list(""))).map((entry) => "key" in entry && entry.key)).toEqual([
      "real",
    ]);
    expect(await Array.fromAsync(store.list("", { delimiter: "/" }))).toHaveLength(1);
    expect(await store.head("link")).toBeUndefined();
    expect(await store.get("link")).toBeUndefined();
    await expect(store.put(".tidemark-x/y", [])).rejects.toMatchObject({ code: "usage" });
    await expect(store.head("x".repeat(219))).rejects.toMatchObject({ code: "usage" });
  });

  test("removes directories that become empty, and no others", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    await store.put("a/b/c/1", []);
    await store.put("a/2", []);

    await store.delete(["a/b/c/1"]);

    expect(await readdir(join(root, "a"))).toEqual(["2"]);
    await store.delete(["a/2"]);
    expect(await readdir(root)).toEqual([]);
  });

  test("a delete that empties a directory never breaks a write into it", async () => {
    const store = await openFileStore({ root: await makeRoot() });
    const writeAndDelete = async (name: string): Promise<void> => {
      for (let round = 0; round < 60; round++) {
        await store.put(`x/y/${name}`, [Buffer.from(name)]);
        await store.delete([`x/y/${name}`]);
      }
    };

    await Promise.all(["a", "b", "c", "d"].map(writeAndDelete));

    expect(await Array.fromAsync(store.list(""))).toEqual([]);
  });

  test("an object cut short by someone else is damage, not a short body", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    await store.put("cut", [Buffer.alloc(1_000_000)]);
    const opened = await store.get("cut");
    await writeFile(join(root, "cut"), "short");

    await expect(Array.fromAsync(opened?.body ?? [])).rejects.toMatchObject({ code: "object-corrupt" });
  });

  test("what a crash between naming and clean-up leaves is an object and a hidden file to collect", async () => {
    const root = await makeRoot();
    const store = await openFileStore({ root });
    const upload = await store.startUpload("crashed");
    const [temporary] = await readdir(root);
    await link(join(root, temporary!), join(root, "crashed"));

    expect(await store.head("crashed")).toMatchObject({ sizeBytes: 0 });
    for await (const abandoned of store.abandonedUploads("")) await store.abortAbandonedUpload(abandoned);
    await upload.abort();
    expect(await readdir(root)).toEqual(["crashed"]);
    expect(await readFile(join(root, "crashed"))).toHaveLength(0);
  });
});
