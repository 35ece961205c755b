/** Large objects in parts, and what is left of them. */
import { beforeAll, describe, expect, test } from "vitest";
import { mapConcurrent } from "../../../common/concurrency.ts";
import { EngineError } from "../../../common/errors.ts";
import { compareKeys } from "../../object-key.ts";
import type { AbandonedUpload, ObjectStore } from "../../object-store.ts";
import { uploadAll, bytes, pattern, content, text, collect } from "./tools.ts";

export function testUploads(current: () => ObjectStore): void {
  let store: ObjectStore;
  beforeAll(() => {
    store = current();
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
      expect([stored[0], stored[partBytes() - 1], stored[partBytes()], stored.at(-1)]).toEqual([1, 1, 2, 2]);
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

    test("an upload that was left is found with its key and start, and can be dropped, or the store forgets it", async () => {
      const before = Date.now();
      const upload = await store.startUpload("abandoned/deep/er", { partBytes: partBytes() });
      await upload.writePart(0, [pattern(partBytes(), 1)]);
      const other = await store.startUpload("abandoned/other");

      const found = await collect(store.abandonedUploads("abandoned/"));

      const listed = (keys: readonly string[]): readonly string[] =>
        store.capabilities.forgetsAbandonedUploads === true ? [] : keys;
      expect(found.map(({ key }) => key).sort(compareKeys)).toEqual(
        listed(["abandoned/deep/er", "abandoned/other"]),
      );
      for (const { startedAt } of found) expect(Math.abs(startedAt.getTime() - before)).toBeLessThan(60_000);
      expect(await collect(store.list("abandoned/"))).toEqual([]);
      const keysBelow = (uploads: AbandonedUpload[]): string[] => uploads.map(({ key }) => key);
      expect(keysBelow(await collect(store.abandonedUploads("abandoned/deep/e")))).toEqual(
        listed(["abandoned/deep/er"]),
      );
      for (const abandoned of found) {
        await store.abortAbandonedUpload(abandoned);
        await store.abortAbandonedUpload(abandoned);
      }
      expect(await collect(store.abandonedUploads("abandoned/"))).toEqual([]);
      if (found.length === 0) await upload.abort();
      await expect(upload.complete()).rejects.toBeInstanceOf(EngineError);
      expect(await store.head("abandoned/deep/er")).toBeUndefined();
      await upload.abort();
      await other.abort();
    });
  });
}
