/** Objects written, read and removed whole: put, head, get, ranges, ifAbsent, delete, abort signals. */
import { beforeAll, describe, expect, test } from "vitest";
import { EngineError, isEngineError } from "../../../common/errors.ts";
import { discardBody, readObject } from "../../object-body.ts";
import type { ObjectStore } from "../../object-store.ts";
import { uploadAll, bytes, pattern, drain, content, text, collect, codesOf, keysOf } from "./tools.ts";

const awkwardKeys = [
  "plain",
  "with space",
  "plus+plus",
  "percent%20percent%",
  "tilde~star*paren()quote'",
  "equals=and&question?hash#colon:semi;comma,at@dollar$bang!",
  "umlaut-äöü",
  "combining-a\u0308",
  "emoji-🐘",
  "private-use-\uffee",
  "deep/er/and/deeper/still.tar.gz",
  ".hidden",
  "..two-dots",
  'double"quote',
  "angle<brackets>&amp;",
];

export function testObjects(current: () => ObjectStore): void {
  let store: ObjectStore;
  beforeAll(() => {
    store = current();
  });

  describe("put, head, get", () => {
    test("what was put is read back, with its size and time", async () => {
      const before = Date.now();

      const info = await store.put("basic/one", [bytes("hello"), bytes(", "), bytes("world")]);

      expect(info).toMatchObject({ key: "basic/one", sizeBytes: 12 });
      expect(await text(store, "basic/one")).toBe("hello, world");
      const head = await store.head("basic/one");
      expect(head).toMatchObject({ key: "basic/one", sizeBytes: 12 });
      expect(head?.etag).toBe(info.etag);
      expect(Math.abs((head?.modifiedAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
      expect(Math.abs(info.modifiedAt.getTime() - before)).toBeLessThan(60_000);
    });

    test("an empty object is an object", async () => {
      expect(await store.put("basic/empty", [])).toMatchObject({ sizeBytes: 0 });
      expect(await store.put("basic/empty-piece", [new Uint8Array()])).toMatchObject({ sizeBytes: 0 });

      expect(await store.head("basic/empty")).toMatchObject({ sizeBytes: 0 });
      expect(await text(store, "basic/empty")).toBe("");
      expect(await text(store, "basic/empty-piece")).toBe("");
    });

    test("a missing object is undefined, not an error", async () => {
      expect(await store.head("basic/missing")).toBeUndefined();
      expect(await store.get("basic/missing")).toBeUndefined();
      expect(await store.get("basic/missing", { range: { startByte: 3 } })).toBeUndefined();
      expect(await store.head("basic")).toBeUndefined();
      expect(await store.get("basic")).toBeUndefined();
      expect(await store.head("basic/one/below-an-object")).toBeUndefined();
    });

    test("put replaces the whole object, and its etag changes", async () => {
      const first = await store.put("basic/replaced", [bytes("a longer first version")]);

      const second = await store.put("basic/replaced", [bytes("short")]);

      expect(await text(store, "basic/replaced")).toBe("short");
      expect(first.etag === undefined || second.etag !== first.etag).toBe(true);
    });

    test("many and large pieces arrive whole", async () => {
      const pieces = Array.from({ length: 3000 }, (_, index) => pattern(1 + ((index * 977) % 5000), index));
      pieces.push(pattern(9_000_001, 7));

      await store.put("basic/pieces", pieces);

      expect(Buffer.concat(pieces).equals(await content(store, "basic/pieces"))).toBe(true);
    });

    test.for(awkwardKeys)("the key %j goes in and comes out unchanged", async (key) => {
      const full = `awkward/${key}`;
      await store.put(full, [bytes(key)]);

      expect(await text(store, full)).toBe(key);
      expect((await store.head(full))?.key).toBe(full);
      expect(keysOf(await collect(store.list(full)))).toContain(full);
      await store.delete([full]);
      expect(await store.head(full)).toBeUndefined();
    });

    test("a backslash in a key stays one, or is refused", async () => {
      const stored = store.put("awkward/back\\slash", [bytes("x")]);
      const code = await stored.then(
        () => "kept",
        (error: unknown) => isEngineError(error) && error.code,
      );

      expect(["kept", "usage"]).toContain(code);
      expect(keysOf(await collect(store.list("awkward/back")))).toEqual(
        code === "kept" ? ["awkward/back\\slash"] : [],
      );
    });

    test.for(["", "/a", "a/", "a//b", "a/../b", "..", ".", "./a", "a/.", "line\nbreak", "nul\0", "\ud800"])(
      "%j is no key and is refused before anything is sent",
      async (key) => {
        const calls = [
          store.head(key),
          store.get(key),
          store.put(key, []),
          store.startUpload(key),
          store.delete([key]),
        ];
        expect(await codesOf(calls)).toEqual(calls.map(() => "usage"));
      },
    );
  });

  describe("ranges", () => {
    test("a range gives its bytes and the size of the whole", async () => {
      await store.put("range/ten", [bytes("0123456789")]);
      const range = async (startByte: number, endByte?: number): Promise<string> => {
        const opened = await store.get("range/ten", {
          range: endByte === undefined ? { startByte } : { startByte, endByte },
        });
        expect(opened?.info.sizeBytes).toBe(10);
        return (await drain(opened)).toString();
      };

      expect(await range(0)).toBe("0123456789");
      expect(await range(4)).toBe("456789");
      expect(await range(4, 7)).toBe("456");
      expect(await range(9, 10)).toBe("9");
      expect(await range(8, 99)).toBe("89");
      expect(await range(10)).toBe("");
      expect(await range(3, 3)).toBe("");
    });

    test("a range that starts behind the end is damage", async () => {
      await store.put("range/short", [bytes("abc")]);

      const failure = async (range: { startByte: number; endByte?: number }): Promise<unknown> =>
        store.get("range/short", { range }).then(drain, (error: unknown) => error);

      expect(await failure({ startByte: 4 })).toMatchObject({ code: "object-corrupt" });
      expect(await failure({ startByte: 4, endByte: 9 })).toMatchObject({ code: "object-corrupt" });
    });

    test("leaving the body early, or not reading it, does no harm", async () => {
      await store.put("range/large", [pattern(4_000_000, 1)]);
      for (let round = 0; round < 20; round++) {
        const opened = await store.get("range/large");
        for await (const chunk of opened?.body ?? []) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        const unread = await store.get("range/large");
        if (unread !== undefined) await discardBody(unread);
      }
      expect(await readObject(store, "range/ten", 100)).toHaveLength(10);
      await expect(readObject(store, "range/large", 100)).rejects.toMatchObject({ code: "object-corrupt" });
    });

    test("chunks belong to the reader: later ones do not change earlier ones", async () => {
      const whole = pattern(3_000_000, 5);
      await store.put("range/owned", [whole]);
      const chunks: Uint8Array[] = [];

      for await (const chunk of (await store.get("range/owned"))?.body ?? []) chunks.push(chunk);

      expect(Buffer.concat(chunks).equals(whole)).toBe(true);
    });
  });

  describe("ifAbsent", () => {
    test("a taken key is refused, and keeps its content", async () => {
      await store.put("absent/one", [bytes("first")], { ifAbsent: true });

      const again = store.put("absent/one", [bytes("second")], { ifAbsent: true });

      await expect(again).rejects.toMatchObject({ code: "object-exists", retryable: false });
      expect(await text(store, "absent/one")).toBe("first");
    });

    test("of many concurrent writers exactly one wins, where the store claims so", async () => {
      for (let round = 0; round < 5; round++) {
        await store.put(`absent/warm-${round}`, [bytes("x")], { ifAbsent: true });
        const claimed = store.capabilities.conditionalCreate;
        const writers = Array.from({ length: 8 }, (_, writer) => `writer ${writer}`);

        const results = await Promise.allSettled(
          writers.map(async (writer) =>
            store.put(`absent/race-${round}`, [bytes(writer)], { ifAbsent: true }),
          ),
        );

        const winners = writers.filter((_, index) => results[index]?.status === "fulfilled");
        expect(claimed ? winners.length === 1 : winners.length > 0).toBe(true);
        expect(winners).toContain(await text(store, `absent/race-${round}`));
        const losses = results.flatMap((result) =>
          result.status === "rejected" ? [result.reason as unknown] : [],
        );
        expect(losses.every((error) => isEngineError(error, "object-exists"))).toBe(true);
      }
    });

    test("an upload over a taken key is refused at the start or at the end", async () => {
      await store.put("absent/upload", [bytes("first")]);
      await expect(uploadAll(store, "absent/upload", [bytes("second")], true)).rejects.toMatchObject({
        code: "object-exists",
      });

      const upload = await store.startUpload("absent/upload-late", { ifAbsent: true });
      await upload.writePart(0, [bytes("second")]);
      await store.put("absent/upload-late", [bytes("first")]);
      await expect(upload.complete()).rejects.toMatchObject({ code: "object-exists" });
      await upload.abort();

      expect(await text(store, "absent/upload")).toBe("first");
      expect(await text(store, "absent/upload-late")).toBe("first");
      expect(await collect(store.abandonedUploads("absent/"))).toEqual([]);
    });

    test("an upload to a free key succeeds", async () => {
      await uploadAll(store, "absent/upload-free", [bytes("only")], true);

      expect(await text(store, "absent/upload-free")).toBe("only");
    });
  });

  describe("delete", () => {
    test("removes what is named and nothing else; missing keys are fine", async () => {
      await Promise.all(["d/1", "d/2", "d/x/3", "d/x/4"].map(async (key) => store.put(key, [bytes(key)])));

      await store.delete(["d/1", "d/x/3", "d/missing", "d/y/missing"]);
      await store.delete(["d/1"]);
      await store.delete([]);

      expect(keysOf(await collect(store.list("d/")))).toEqual(["d/2", "d/x/4"]);
      await store.delete(["d/2", "d/x/4"]);
      expect(await collect(store.list("d/"))).toEqual([]);
      await store.put("d/x/5", [bytes("again")]);
      expect(await text(store, "d/x/5")).toBe("again");
    });
  });

  describe("abort signals", () => {
    test("a signal that has fired stops every call before it does anything", async () => {
      await store.put("s/there", [bytes("x")]);
      const upload = await store.startUpload("s/upload");
      const fired = { signal: AbortSignal.abort() };

      const calls = [
        store.head("s/there", fired),
        store.get("s/there", fired),
        store.put("s/new", [bytes("x")], fired),
        store.startUpload("s/new", fired),
        upload.writePart(0, [bytes("x")], fired),
        store.delete(["s/there"], fired),
        collect(store.list("s/", fired)),
        collect(store.abandonedUploads("s/", fired)),
      ];

      expect(await codesOf(calls)).toEqual(calls.map(() => "aborted"));
      await upload.abort();
      expect(keysOf(await collect(store.list("s/")))).toEqual(["s/there"]);
    });

    test("a signal that fires while a body is read stops it, with the signal's own reason", async () => {
      await store.put("s/body", [pattern(8_000_000, 1)]);
      const controller = new AbortController();
      const reason = new EngineError("store-unavailable", "no answer in time");
      const opened = await store.get("s/body", { signal: controller.signal });

      const reading = (async () => {
        for await (const _chunk of opened?.body ?? []) controller.abort(reason);
      })();

      await expect(reading).rejects.toBe(reason);
      expect(await content(store, "s/body")).toHaveLength(8_000_000);
    });
  });
}
