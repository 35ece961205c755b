import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Decrypter } from "age-encryption";
import { openFileStore } from "../../storage/file/file-store.ts";
import { readObject } from "../../storage/object-body.ts";
import { compareKeys } from "../../storage/object-key.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { testObjectStore } from "../../storage/testing/conformance.ts";
import { bytes, collect, content, drain, keysOf, pattern } from "../../storage/testing/conformance/tools.ts";
import { faultyStore } from "../../storage/testing/faulty-store.ts";
import { temporaryStore } from "../../storage/testing/temporary-store.ts";
import { interceptStore } from "../../storage/wrappers/intercept.ts";
import { withRetry } from "../../storage/wrappers/retry.ts";
import { systemClock } from "../../common/clock.ts";
import { keyRing } from "./key-ring.ts";
import { generateRepositoryKey } from "./repository-key.ts";
import { fixedKeys } from "./testing/fixed-keys.ts";
import { withEncryption } from "./with-encryption.ts";

async function ownStore(): Promise<ObjectStore & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), "tidemark-encrypted-"));
  const store = await openFileStore({ root });
  return Object.defineProperty(store, Symbol.asyncDispose, {
    value: async () => rm(root, { recursive: true, force: true }),
  }) as ObjectStore & AsyncDisposable;
}

async function encrypted(inner: (store: ObjectStore) => ObjectStore): Promise<ObjectStore & AsyncDisposable> {
  const own = await ownStore();
  const store = withEncryption(inner(own), { keys: fixedKeys(), root: "" });
  return Object.defineProperty(store, Symbol.asyncDispose, {
    value: async () => own[Symbol.asyncDispose](),
  }) as ObjectStore & AsyncDisposable;
}

const impatient = { ...systemClock, sleep: async () => undefined };

testObjectStore("an encrypted directory", async () => encrypted((store) => store));

testObjectStore("an encrypted directory that fails every tenth time", async () =>
  encrypted((store) =>
    withRetry(faultyStore(store, { probability: 0.1, seed: 7 }), { clock: impatient, maxAttempts: 20 }),
  ),
);

const chunk = 64 * 1024;

async function pair() {
  const below = await temporaryStore();
  const keys = fixedKeys();
  return { below, keys, store: withEncryption(below, { keys, root: "main/" }) };
}

const stored = async (below: ObjectStore, key: string) =>
  (await readObject(below, `${key}.age`, 100_000_000)) ?? Buffer.alloc(0);

describe("an encrypted object", () => {
  test.for([0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 17])(
    "of %i bytes is an age file that the age package reads, put whole or in parts",
    async (size) => {
      const { below, keys, store } = await pair();
      const plain = pattern(size, size);

      await store.put("main/put", [plain.subarray(0, 5), plain.subarray(5)]);
      const upload = await store.startUpload("main/parts", { partBytes: 50_000 });
      for (let at = 0; at < size; at += 50_000) {
        await upload.writePart(at / 50_000, [plain.subarray(at, at + 50_000)]);
      }
      await upload.complete();

      for (const key of ["main/put", "main/parts"]) {
        const decrypter = new Decrypter();
        decrypter.addIdentity(keys.ring.newest.identity.reveal());
        const file = await stored(below, key);
        // As docs/format.md says.
        expect(file).toHaveLength(267 + size + 16 * Math.max(1, Math.ceil(size / chunk)));
        expect(plain.equals(await decrypter.decrypt(file))).toBe(true);
        expect((await store.head(key))?.sizeBytes).toBe(size);
        expect(plain.equals(await content(store, key))).toBe(true);
      }
    },
  );

  test("is read from any byte to any other, across chunks", async () => {
    const { store } = await pair();
    const plain = pattern(5 * chunk + 100, 3);
    await store.put("main/x", [plain]);

    for (const [startByte, endByte] of [
      [0, 1],
      [chunk - 1, chunk + 1],
      [chunk, 2 * chunk],
      [2 * chunk + 7, undefined],
      [5 * chunk, 5 * chunk + 100],
      [5 * chunk + 99, 5 * chunk + 999],
      [4 * chunk, 4 * chunk],
      [5 * chunk + 100, undefined],
    ] as const) {
      const range = endByte === undefined ? { startByte } : { startByte, endByte };
      const got = await drain(await store.get("main/x", { range }));
      expect(plain.subarray(startByte, endByte).equals(got)).toBe(true);
    }
  });

  test("is refused when a bit of it is flipped, wherever that is, and nothing of the damaged chunk is handed on", async () => {
    const { below, store } = await pair();
    const plain = pattern(6 * chunk, 9);
    await store.put("main/x", [plain]);
    const whole = await stored(below, "main/x");
    const places = [...Array.from({ length: 60 }, (_, at) => at * 5), 6 * chunk, whole.length - 1];

    for (const place of places) {
      const damaged = Buffer.from(whole);
      damaged[place] = (damaged[place] ?? 0) ^ 1;
      await below.put("main/x.age", [damaged]);
      const got: Uint8Array[] = [];
      const reading = (async () => {
        for await (const piece of (await store.get("main/x"))?.body ?? []) got.push(piece);
      })();

      // A flip in the name of the identity makes it one that nobody has.
      await expect(reading).rejects.toMatchObject({
        code: expect.stringMatching(/^(object-corrupt|encryption-key)$/),
      });
      const before = Buffer.concat(got);
      expect(before.equals(plain.subarray(0, before.length))).toBe(true);
    }
  });

  test("is refused when it was cut, extended, or its chunks were put in another order", async () => {
    const { below, store } = await pair();
    await store.put("main/x", [pattern(3 * chunk + 10, 9)]);
    const whole = await stored(below, "main/x");
    const head = whole.length - (3 * (chunk + 16) + 26);
    const at = (index: number) =>
      whole.subarray(head + index * (chunk + 16), head + (index + 1) * (chunk + 16));
    const variants: Record<string, Uint8Array[]> = {
      "cut in a chunk": [whole.subarray(0, -20)],
      "cut between chunks": [whole.subarray(0, head + 2 * (chunk + 16))],
      "cut in the header": [whole.subarray(0, 100)],
      empty: [],
      extended: [whole, Buffer.from("more")],
      "extended by a chunk": [whole.subarray(0, head), at(0), at(0), whole.subarray(head + chunk + 16)],
      reordered: [whole.subarray(0, head), at(1), at(0), whole.subarray(head + 2 * (chunk + 16))],
    };

    for (const [what, pieces] of Object.entries(variants)) {
      await below.put("main/x.age", pieces);
      const outcome = content(store, "main/x").then(
        () => "read",
        ({ code }: { readonly code: string }) => code,
      );
      expect([what, await outcome]).toEqual([what, "object-corrupt"]);
    }
  });

  test("is refused under another name than its own", async () => {
    const { below, store } = await pair();
    await store.put("main/a", [bytes("of a")]);
    await store.put("main/b", [bytes("of b")]);

    await below.put("main/b.age", [await stored(below, "main/a")]);

    await expect(content(store, "main/b")).rejects.toMatchObject({
      code: "object-corrupt",
      message: `could not read "main/b" in ${below.url}: damaged encrypted data: it was not written under this name by anybody who has the key`,
    });
  });

  test("keeps its name when the repository moves to another server name", async () => {
    const { below, keys, store } = await pair();
    await store.put("main/a", [bytes("content")]);

    await below.put("other/a.age", [await stored(below, "main/a")]);

    const other = withEncryption(below, { keys, root: "other/" });
    expect((await content(other, "other/a")).toString()).toBe("content");
  });

  test("is refused when somebody wrote it who has only the public recipient", async () => {
    const { below, keys, store } = await pair();
    const thief = generateRepositoryKey();
    const pretender = { ...thief, ...publicPartOf(keys.ring.newest) };
    await withEncryption(below, { keys: fixedKeys(keyRing([pretender])), root: "main/" }).put("main/a", [
      bytes("forged"),
    ]);

    await expect(content(store, "main/a")).rejects.toMatchObject({
      code: "object-corrupt",
      message: expect.stringContaining("it was not written under this name by anybody who has the key"),
    });
  });

  test("of an identity that the keys do not have is an error of the key, and they are asked again first", async () => {
    const { below, store } = await pair();
    const newer = fixedKeys();
    await withEncryption(below, { keys: newer, root: "main/" }).put("main/a", [bytes("later")]);
    const old = fixedKeys();
    let asked = 0;
    const renewed = withEncryption(below, {
      keys: {
        ...old,
        again: async () => {
          asked++;
          return newer.ring;
        },
      },
      root: "main/",
    });

    await expect(content(store, "main/a")).rejects.toMatchObject({ code: "encryption-key" });
    expect((await content(renewed, "main/a")).toString()).toBe("later");
    expect(asked).toBe(1);
  });
});

function publicPartOf({ publicKey, publicBytes, recipient, tag }: ReturnType<typeof generateRepositoryKey>) {
  return { publicKey, publicBytes, recipient, tag };
}

describe("a listing of encrypted objects", () => {
  const keys = ["x ", "x-1/a", "x-1/a-b", "x.A", "x.age", "x.zst", "x/y", "xy", "y", "x-", "x-1-2"];
  const files = ["x1", "x1 ", "x1-1", "x1.A", "x1.age", "x1.zst", "x1y", "x1-", "x1-1-2", "x1-1.a"];

  test("is in the order of the plain names, and begins anywhere in it", async () => {
    const { store } = await pair();
    const all = [...keys, ...files].sort(compareKeys);
    for (const key of all) await store.put(key, [bytes(key)]);

    expect(keysOf(await collect(store.list("")))).toEqual(all);
    for (const prefix of ["x", "x1", "x1-1", "x1.", "x1.a"]) {
      const expected = all.filter((key) => key.startsWith(prefix));
      expect(keysOf(await collect(store.list(prefix)))).toEqual(expected);
    }
    for (const startAfter of [...all, "x", "x1-1-", "x-1/", "x.age.age"]) {
      const expected = all.filter((key) => compareKeys(key, startAfter) > 0);
      expect(keysOf(await collect(store.list("", { startAfter })))).toEqual(expected);
    }
  });

  test("cuts at a delimiter, and shows a folder only for what lies behind the start", async () => {
    const { store } = await pair();
    for (const key of ["f/a", "f/b", "f-1", "f1"]) await store.put(key, [bytes(key)]);

    const listed = async (startAfter: string) =>
      keysOf(await collect(store.list("f", { delimiter: "/", startAfter })));

    expect(await listed("a")).toEqual(["f-1", "f/", "f1"]);
    expect(await listed("f/a")).toEqual(["f/", "f1"]);
    expect(await listed("f/b")).toEqual(["f1"]);
  });

  test("does not show what is not encrypted", async () => {
    const { below, store } = await pair();
    await below.put("main/plain", [bytes("seen by everybody")]);

    expect(await collect(store.list(""))).toEqual([]);
    expect(await store.head("main/plain")).toBeUndefined();
  });
});

test("the parts that reach the store are equal in size, but for the last", async () => {
  const below = await temporaryStore();
  const sizes: number[] = [];
  const watched = interceptStore(below, {
    call: async (call, options, run) => {
      if (call.operation === "writePart") sizes.push(call.bytes);
      return run(options);
    },
  });
  const store = withEncryption(watched, { keys: fixedKeys(), root: "" });
  const partBytes = 4 * chunk;
  const plain = pattern(5 * partBytes + 10, 2);

  const upload = await store.startUpload("x", { partBytes });
  await Promise.all(
    [1, 0, 3, 2, 5, 4].map(async (index) =>
      upload.writePart(index, [plain.subarray(index * partBytes, (index + 1) * partBytes)]),
    ),
  );
  await upload.complete();

  const [last = 0, ...others] = sizes.sort((one, other) => one - other);
  expect(new Set(others)).toEqual(new Set([4 * (chunk + 16)]));
  expect(last).toBeLessThan(4 * (chunk + 16));
  expect(plain.equals(await content(store, "x"))).toBe(true);
});

test("a part whose writing failed can be written again, and the upload goes on", async () => {
  const failing = faultyStore(await temporaryStore(), { operation: "writePart", failAtCall: 1 });
  const store = withEncryption(failing, { keys: fixedKeys(), root: "" });
  const plain = pattern(3 * chunk, 2);
  const upload = await store.startUpload("x", { partBytes: chunk });
  await upload.writePart(0, [plain.subarray(0, chunk)]);
  const second = async () => upload.writePart(1, [plain.subarray(chunk, 2 * chunk)]);

  await expect(second()).rejects.toMatchObject({ code: "store-unavailable" });
  await second();
  await upload.writePart(2, [plain.subarray(2 * chunk)]);
  await upload.complete();

  expect(plain.equals(await content(store, "x"))).toBe(true);
});
