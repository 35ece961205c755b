/** Listings: order, prefix, delimiter, startAfter, pages. */
import { beforeAll, describe, expect, test } from "vitest";
import { compareKeys } from "../../object-key.ts";
import type { ObjectInfo, ObjectStore } from "../../object-store.ts";
import { bytes, collect, nameOf, keysOf } from "./tools.ts";

export function testListing(current: () => ObjectStore): void {
  let store: ObjectStore;
  beforeAll(() => {
    store = current();
  });

  describe("list", () => {
    const keys = [
      "l/a",
      "l/a.b",
      "l/a/1",
      "l/a/2/x",
      "l/a0",
      "l/b/",
      "l/B",
      "l/ä",
      "l/é/z",
      "l/\uffee",
      "l/🐘",
    ]
      .map((key) => (key.endsWith("/") ? `${key}c` : key))
      // A directory cannot hold an object "a" and objects below "a/".
      .filter((key) => key !== "l/a");
    const sorted = [...keys].sort(compareKeys);
    beforeAll(async () => {
      await Promise.all(keys.map(async (key) => store.put(key, [bytes(key)])));
    });

    test("keys come in the order of their UTF-8 bytes, whole tree", async () => {
      const entries = await collect(store.list("l/"));

      expect(keysOf(entries)).toEqual(sorted);
      expect(sorted.slice(0, 4)).toEqual(["l/B", "l/a.b", "l/a/1", "l/a/2/x"]);
      for (const entry of entries) {
        expect(entry).toMatchObject({
          kind: "object",
          sizeBytes: Buffer.byteLength((entry as ObjectInfo).key),
        });
      }
    });

    test("a prefix is any string", async () => {
      expect(keysOf(await collect(store.list("l/a")))).toEqual(["l/a.b", "l/a/1", "l/a/2/x", "l/a0"]);
      expect(keysOf(await collect(store.list("l/a/2/x")))).toEqual(["l/a/2/x"]);
      expect(keysOf(await collect(store.list("l/a/")))).toEqual(["l/a/1", "l/a/2/x"]);
      expect(await collect(store.list("l/none"))).toEqual([]);
      expect(await collect(store.list("none/at/all/"))).toEqual([]);
    });

    test("a delimiter cuts keys into objects and common prefixes", async () => {
      const entries = await collect(store.list("l/a", { delimiter: "/" }));

      expect(entries.map(nameOf)).toEqual(["l/a.b", "l/a/", "l/a0"]);
      expect(entries.map((entry) => entry.kind)).toEqual(["object", "prefix", "object"]);
      const roots = await collect(store.list("", { delimiter: "/" }));
      expect(roots.map(nameOf)).toContain("l/");
      expect(roots.every((entry) => entry.kind === "prefix")).toBe(true);
    });

    test("startAfter leaves out keys up to and including it", async () => {
      expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a/1" })))).toEqual(["l/a/2/x", "l/a0"]);
      expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a/15" })))).toEqual(["l/a/2/x", "l/a0"]);
      expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a0" })))).toEqual([]);
      expect(keysOf(await collect(store.list("l/a", { startAfter: "a" })))).toHaveLength(4);
      expect((await collect(store.list("l/a", { startAfter: "l/a.b", delimiter: "/" }))).map(nameOf)).toEqual(
        ["l/a/", "l/a0"],
      );
      expect((await collect(store.list("l/a", { startAfter: "l/a/9", delimiter: "/" }))).map(nameOf)).toEqual(
        ["l/a0"],
      );
    });

    test("a list longer than a server's page is complete", async () => {
      const many = Array.from({ length: 1100 }, (_, index) => `many/${String(index).padStart(5, "0")}`);
      for (let at = 0; at < many.length; at += 100) {
        await Promise.all(many.slice(at, at + 100).map(async (key) => store.put(key, [])));
      }

      expect(keysOf(await collect(store.list("many/")))).toEqual(many);
      expect(keysOf(await collect(store.list("many/", { startAfter: "many/01089" })))).toHaveLength(10);
      await store.delete(many);
      expect(await collect(store.list("many/"))).toEqual([]);
    });

    test("a list can be left early", async () => {
      for await (const entry of store.list("l/")) {
        expect(nameOf(entry)).toBe("l/B");
        break;
      }
    });

    test.for(["/x", "a//b", "../x", "a/../", "\n"])(
      "%j cannot start a key and is refused",
      async (prefix) => {
        await expect(collect(store.list(prefix))).rejects.toMatchObject({ code: "usage" });
        await expect(collect(store.abandonedUploads(prefix))).rejects.toMatchObject({ code: "usage" });
      },
    );
  });
}
