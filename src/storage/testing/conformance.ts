/**
 * The contract of `ObjectStore` as tests. An adapter's own test says how to make a store and nothing else that is
 * promised here; what only one adapter promises is tested beside it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mapConcurrent } from "../../common/concurrency.ts";
import { EngineError, isEngineError } from "../../common/errors.ts";
import { discardBody, readObject } from "../object-body.ts";
import { compareKeys } from "../object-key.ts";
import type { AbandonedUpload, ListEntry, ObjectInfo, ObjectStore, OpenObject } from "../object-store.ts";

/** A fresh store over an empty root; called once per suite. */
export type MakeStore = () => Promise<ObjectStore & Partial<AsyncDisposable>>;

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
  "back\\slash",
  'double"quote',
  "angle<brackets>&amp;",
];

export function testObjectStore(name: string, makeStore: MakeStore): void {
  describe(`${name} keeps the contract of an object store`, () => {
    let store: ObjectStore & Partial<AsyncDisposable>;
    beforeAll(async () => {
      store = await makeStore();
    });
    afterAll(async () => {
      await store.close();
      await store[Symbol.asyncDispose]?.();
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
        expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a/1" })))).toEqual([
          "l/a/2/x",
          "l/a0",
        ]);
        expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a/15" })))).toEqual([
          "l/a/2/x",
          "l/a0",
        ]);
        expect(keysOf(await collect(store.list("l/a", { startAfter: "l/a0" })))).toEqual([]);
        expect(keysOf(await collect(store.list("l/a", { startAfter: "a" })))).toHaveLength(4);
        expect(
          (await collect(store.list("l/a", { startAfter: "l/a.b", delimiter: "/" }))).map(nameOf),
        ).toEqual(["l/a/", "l/a0"]);
        expect(
          (await collect(store.list("l/a", { startAfter: "l/a/9", delimiter: "/" }))).map(nameOf),
        ).toEqual(["l/a0"]);
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

    describe("uploads", () => {
      const partBytes = (): number => Math.max(store.capabilities.minPartBytes, 1000) + 1;

      test("equal parts and an odd last part become one object, visible only when complete", async () => {
        const parts = [
          pattern(partBytes(), 1),
          pattern(partBytes(), 2),
          pattern(Math.ceil(partBytes() / 3), 3),
        ];
        const upload = await store.startUpload("u/odd", { partBytes: partBytes() });
        for (const [index, part] of parts.entries()) {
          await upload.writePart(index, [part.subarray(0, 1), part.subarray(1)]);
        }
        expect(await store.head("u/odd")).toBeUndefined();
        expect(await collect(store.list("u/odd"))).toEqual([]);

        const info = await upload.complete();

        expect(info).toMatchObject({
          key: "u/odd",
          sizeBytes: parts.reduce((sum, part) => sum + part.length, 0),
        });
        expect(Buffer.concat(parts).equals(await content(store, "u/odd"))).toBe(true);
        expect(await upload.complete()).toMatchObject({ sizeBytes: info.sizeBytes });
        await upload.abort();
        expect(await store.head("u/odd")).toMatchObject({ sizeBytes: info.sizeBytes });
      });

      test("parts may be repeated, and come in any order where the store claims so", async () => {
        const parts = [
          pattern(partBytes(), 1),
          pattern(partBytes(), 2),
          pattern(partBytes(), 3),
          pattern(5, 4),
        ];
        const upload = await store.startUpload("u/order", { partBytes: partBytes() });
        const order = store.capabilities.parallelParts ? [3, 1, 2, 0] : [0, 1, 2, 3];
        const write = async (index: number): Promise<void> =>
          upload.writePart(index, [parts[index] ?? bytes("")]);
        await mapConcurrent(order, store.capabilities.parallelParts ? 4 : 1, write);
        await write(3);

        await upload.complete();

        expect(Buffer.concat(parts).equals(await content(store, "u/order"))).toBe(true);
      });

      test("an upload of one part, of an empty part and of no part are objects", async () => {
        await uploadAll(store, "u/one", [bytes("x")]);
        await uploadAll(store, "u/empty-part", [new Uint8Array()]);
        await uploadAll(store, "u/no-part", []);

        expect(await text(store, "u/one")).toBe("x");
        expect(await store.head("u/empty-part")).toMatchObject({ sizeBytes: 0 });
        expect(await store.head("u/no-part")).toMatchObject({ sizeBytes: 0 });
        expect(await collect(store.abandonedUploads("u/"))).toEqual([]);
      });

      test("a completed upload replaces an object", async () => {
        await store.put("u/replaced", [bytes("old and longer")]);

        await uploadAll(store, "u/replaced", [bytes("new")]);

        expect(await text(store, "u/replaced")).toBe("new");
      });

      test("an aborted upload leaves nothing, and may be aborted again", async () => {
        const upload = await store.startUpload("u/aborted", { partBytes: partBytes() });
        await upload.writePart(0, [pattern(partBytes(), 1)]);

        await upload.abort();
        await upload.abort();

        expect(await store.head("u/aborted")).toBeUndefined();
        expect(await collect(store.abandonedUploads("u/"))).toEqual([]);
      });

      test("the pieces may be reused once the part is written", async () => {
        const piece = Buffer.alloc(partBytes());
        const upload = await store.startUpload("u/reused", { partBytes: partBytes() });
        for (const index of [0, 1]) {
          piece.fill(index + 1);
          await upload.writePart(index, [piece]);
        }
        piece.fill(9);

        await upload.complete();

        const stored = await content(store, "u/reused");
        expect([stored[0], stored[partBytes() - 1], stored[partBytes()], stored.at(-1)]).toEqual([
          1, 1, 2, 2,
        ]);
      });

      test("part sizes outside the store's limits are refused at once", async () => {
        const { minPartBytes, maxPartBytes } = store.capabilities;
        for (const size of [minPartBytes - 1, maxPartBytes + 1, 0.5]) {
          await expect(store.startUpload("u/size", { partBytes: size })).rejects.toMatchObject({
            code: "usage",
          });
        }
      });

      test("a part that is too long, or a gap between parts, is a bug that is noticed", async () => {
        const upload = await store.startUpload("u/bug", { partBytes: partBytes() });
        await expect(upload.writePart(0, [pattern(partBytes() + 1, 1)])).rejects.toMatchObject({
          code: "internal",
        });
        await upload.writePart(1, [bytes("last")]);
        await expect(upload.complete()).rejects.toMatchObject({ code: "internal" });
        await upload.abort();
        expect(await store.head("u/bug")).toBeUndefined();
      });

      test("an upload that was left is found with its key and start, and can be dropped", async () => {
        const before = Date.now();
        const upload = await store.startUpload("abandoned/deep/er", { partBytes: partBytes() });
        await upload.writePart(0, [pattern(partBytes(), 1)]);
        const other = await store.startUpload("abandoned/other");

        const found = await collect(store.abandonedUploads("abandoned/"));

        expect(found.map(({ key }) => key).sort(compareKeys)).toEqual([
          "abandoned/deep/er",
          "abandoned/other",
        ]);
        for (const { startedAt } of found)
          expect(Math.abs(startedAt.getTime() - before)).toBeLessThan(60_000);
        expect(await collect(store.list("abandoned/"))).toEqual([]);
        const keysBelow = (uploads: AbandonedUpload[]): string[] => uploads.map(({ key }) => key);
        expect(keysBelow(await collect(store.abandonedUploads("abandoned/deep/e")))).toEqual([
          "abandoned/deep/er",
        ]);
        for (const abandoned of found) {
          await store.abortAbandonedUpload(abandoned);
          await store.abortAbandonedUpload(abandoned);
        }
        expect(await collect(store.abandonedUploads("abandoned/"))).toEqual([]);
        await expect(upload.complete()).rejects.toBeInstanceOf(EngineError);
        expect(await store.head("abandoned/deep/er")).toBeUndefined();
        await upload.abort();
        await other.abort();
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
  });
}

async function uploadAll(
  store: ObjectStore,
  key: string,
  parts: readonly Uint8Array[],
  ifAbsent = false,
): Promise<void> {
  const upload = await store.startUpload(key, { ifAbsent });
  for (const [index, part] of parts.entries()) await upload.writePart(index, [part]);
  await upload.complete();
}

function bytes(value: string): Buffer {
  return Buffer.from(value);
}

/** Bytes that differ from place to place and from seed to seed. */
function pattern(length: number, seed: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  let state = (seed + 1) * 0x9e3779b1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[at] = state >>> 24;
  }
  return buffer;
}

async function drain(opened: OpenObject | undefined): Promise<Buffer> {
  if (opened === undefined) throw new Error("the object is not there");
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function content(store: ObjectStore, key: string): Promise<Buffer> {
  return drain(await store.get(key));
}

async function text(store: ObjectStore, key: string): Promise<string> {
  return (await content(store, key)).toString();
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items);
}

/** How each call failed; they are awaited together, so that none fails unseen. */
async function codesOf(calls: readonly Promise<unknown>[]): Promise<(string | undefined)[]> {
  const results = await Promise.allSettled(calls);
  return results.map((result) =>
    result.status === "rejected" && isEngineError(result.reason) ? result.reason.code : undefined,
  );
}

function nameOf(entry: ListEntry): string {
  return entry.kind === "object" ? entry.key : entry.prefix;
}

function keysOf(entries: readonly ListEntry[]): string[] {
  return entries.map(nameOf);
}
