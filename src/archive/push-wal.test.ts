import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, gunzipSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { silentLog } from "../common/log.ts";
import { mib } from "../common/units.ts";
import { systemIdentifier } from "../postgres/system-identifier.ts";
import { claimRepository } from "../repository/claim.ts";
import { readIdentity } from "../repository/identity.ts";
import { walSumKey } from "../repository/keys.ts";
import { readObject } from "../storage/object-body.ts";
import type { ObjectStore, WriteOptions } from "../storage/object-store.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { interceptStore } from "../storage/wrappers/intercept.ts";
import type { CodecName } from "../codec/codec.ts";
import {
  expectedSystem,
  pushOnce,
  temporaryFolder,
  testRepository,
  writeWal,
} from "./testing/archive-bench.ts";
import { makeSegment, segmentName, testSystem } from "./testing/wal-files.ts";
import { pushWal, startPush } from "./push-wal.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { WalEncoder } from "./encode-wal.ts";
import { RepositoryClaims } from "./repository-claims.ts";
import { pushWalFile, requireWalFileName } from "./wal-file.ts";

const name = segmentName(3);
const keyOf = (file: string, extension = ".zst") => `pg1/wals/${file.slice(0, 16)}/${file}${extension}`;
const target = (store: ObjectStore, codec: CodecName = "zstd", repository = "main") => ({
  repository: testRepository(store, repository),
  codec,
});
const keysOf = async (store: ObjectStore) => {
  const keys: string[] = [];
  for await (const entry of store.list("")) if (entry.kind === "object") keys.push(entry.key);
  return keys;
};

test("memory that a failed request may still be reading is not used for the next segment", async () => {
  const folder = await temporaryFolder();
  const store = await temporaryStore();
  let sent: readonly Uint8Array[] = [];
  const failing = interceptStore(store, {
    call: async (call, options, run) => {
      if (call.key !== keyOf(name, "")) return run(options);
      throw new EngineError("store-unavailable", "no answer within 60 s");
    },
  });
  const held: ObjectStore = Object.assign(Object.create(failing) as ObjectStore, {
    put: async (key: string, pieces: readonly Uint8Array[], options?: WriteOptions) => {
      if (key === keyOf(name, "")) sent = pieces;
      return failing.put(key, pieces, options);
    },
  });
  const context = {
    claims: new RepositoryClaims(),
    buffers: new ReadBuffers(1),
    encoder: new WalEncoder(),
    log: silentLog,
  };
  const push = async (file: string) =>
    pushWal(context, {
      path: await writeWal(folder, file, makeSegment({ name: file, content: "hard" })),
      file: requireWalFileName(file),
      targets: [target(held, "none")],
      expected: expectedSystem,
    });

  expect((await push(name)).outcomes).toMatchObject([{ kind: "failed" }]);
  expect((await push(segmentName(4))).outcomes).toMatchObject([{ kind: "archived" }]);

  expect(Buffer.concat(sent).equals(makeSegment({ name, content: "hard" }))).toBe(true);
});

describe("pushing a WAL segment", () => {
  test("stores it under Barman's key, with one request, and claims the repository first", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const content = makeSegment({ name });
    const path = await writeWal(folder, name, content);

    const report = await pushOnce([target(store)], path);

    expect(report.outcomes).toMatchObject([{ kind: "archived", repository: "main" }]);
    const stored = await readObject(store, keyOf(name), mib);
    expect(zstdDecompressSync(stored ?? "").equals(content)).toBe(true);
    expect(await readIdentity(testRepository(store))).toMatchObject({
      systemIdentifier: testSystem,
      walSegmentSizeBytes: mib,
      walCodecs: ["zstd"],
    });
  });

  test("goes to several repositories, each in its own form, from one read", async () => {
    const folder = await temporaryFolder();
    const stores = [await temporaryStore(), await temporaryStore(), await temporaryStore()];
    const content = makeSegment({ name, content: "hard" });
    const path = await writeWal(folder, name, content);

    const report = await pushOnce(
      stores.map((store, index) => target(store, (["zstd", "gzip", "none"] as const)[index], `r${index}`)),
      path,
    );

    expect(report.outcomes.map(({ kind }) => kind)).toEqual(["archived", "archived", "archived"]);
    const gzipped = await readObject(stores[1]!, keyOf(name, ".gz"), mib);
    const plain = await readObject(stores[2]!, keyOf(name, ""), mib);
    expect(gunzipSync(gzipped ?? "").equals(content)).toBe(true);
    expect(plain?.equals(content)).toBe(true);
    expect(report.checksum).toBe(`crc32:${crc32(content).toString(16).padStart(8, "0")}`);
  });

  test("of plain content keeps a checksum where Barman does not look", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const path = await writeWal(folder, name, makeSegment({ name }));

    await pushOnce([target(store, "none")], path);

    const sum = await readObject(
      store,
      walSumKey(testRepository(store).server, requireWalFileName(name)),
      1000,
    );
    expect(JSON.parse(sum?.toString() ?? "")).toMatchObject({ format: 1, sizeBytes: mib });
    expect((await keysOf(store)).filter((key) => key.startsWith(keyOf(name, "")))).toEqual([keyOf(name, "")]);
  });

  test("again, with the same content, succeeds and uploads nothing", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const path = await writeWal(folder, name, makeSegment({ name }));
    await pushOnce([target(store)], path);
    const before = await store.head(keyOf(name));

    const report = await pushOnce([target(store)], path);

    expect(report.outcomes).toEqual([{ kind: "already-archived", repository: "main" }]);
    expect(await store.head(keyOf(name))).toEqual(before);
  });

  test("with other content under its name is refused with the place of the first difference", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const content = makeSegment({ name });
    const path = await writeWal(folder, name, content);
    await pushOnce([target(store)], path);
    content[700_000] = (content[700_000] ?? 0) ^ 1;
    await writeFile(path, content);

    const pushed = pushWalFile({ path, targets: [target(store)], expected: expectedSystem });

    await expect(pushed).rejects.toMatchObject({
      code: "wal-conflict",
      message: `refused WAL file "${name}": "${store.url}/${keyOf(name)}" exists with other content, different from byte 700000 on (stored 1048576 bytes, here 1048576)`,
    });
  });

  test("whose stored copy is damaged is refused: nothing is overwritten", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const path = await writeWal(folder, name, makeSegment({ name }));
    await pushOnce([target(store)], path);
    const damaged = Buffer.from((await readObject(store, keyOf(name), mib)) ?? "").subarray(0, -3);
    await store.put(keyOf(name), [damaged]);

    const { outcomes } = await pushOnce([target(store)], path);

    expect(outcomes).toMatchObject([{ kind: "failed", error: { code: "wal-conflict" } }]);
    expect((await store.head(keyOf(name)))?.sizeBytes).toBe(damaged.length);
  });

  test("after a change of codec is not stored twice under one name", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const path = await writeWal(folder, name, makeSegment({ name }));
    await pushOnce([target(store, "gzip")], path);

    const report = await pushOnce([target(store, "none")], path);

    expect(report.outcomes).toEqual([{ kind: "already-archived", repository: "main" }]);
    expect((await keysOf(store)).filter((key) => key.includes("/wals/"))).toEqual([keyOf(name, ".gz")]);
  });

  test("into the archive of another system is refused, and nothing is written", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await claimRepository(testRepository(store), {
      ...expectedSystem,
      systemIdentifier: systemIdentifier(9n),
    });
    const path = await writeWal(folder, name, makeSegment({ name }));

    const { outcomes } = await pushOnce([target(store)], path);

    expect(outcomes).toMatchObject([{ kind: "failed", error: { code: "system-mismatch" } }]);
    expect((await keysOf(store)).filter((key) => key.includes("/wals/"))).toEqual([]);
  });

  test("is stored in the repositories that work while another one does not", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const down = faultyStore(await temporaryStore(), { probability: 1 });
    const path = await writeWal(folder, name, makeSegment({ name }));

    const { outcomes } = await pushOnce([target(down, "zstd", "down"), target(store)], path);

    expect(outcomes).toMatchObject([
      { kind: "failed", repository: "down", error: { code: "store-unavailable" } },
      { kind: "archived", repository: "main" },
    ]);
  });

  test("larger than what is held in memory goes out in parts, or in one request when it compresses well", async () => {
    const folder = await temporaryFolder();
    const stores = [await temporaryStore(), await temporaryStore()];
    const sizeBytes = 32 * mib;
    const large = segmentName(1, { sizeBytes });
    const content = makeSegment({ name: large, sizeBytes, content: "hard" });
    const path = await writeWal(folder, large, content);
    const expected = { ...expectedSystem, walSegmentSizeBytes: sizeBytes };
    const targets = stores.map((store, index) => target(store, "zstd", `r${index}`));

    const first = await pushOnce(targets, path, expected);
    const second = await pushOnce(targets, path, expected);

    expect(first.outcomes.map(({ kind }) => kind)).toEqual(["archived", "archived"]);
    expect(second.outcomes.map(({ kind }) => kind)).toEqual(["already-archived", "already-archived"]);
    const stored = await readObject(stores[1]!, keyOf(large), sizeBytes);
    expect(zstdDecompressSync(stored ?? "").equals(content)).toBe(true);
  });
});

describe("a repository that does not answer", () => {
  const hung = (inner: ObjectStore) => {
    const gate = Promise.withResolvers<void>();
    const store = interceptStore(inner, {
      call: async (call, options, run) => {
        if (call.key.includes("/wals/")) await gate.promise;
        return run(options);
      },
    });
    return { store, open: () => gate.resolve() };
  };
  const contextOf = () => ({
    claims: new RepositoryClaims(),
    buffers: new ReadBuffers(1),
    encoder: new WalEncoder(),
    log: silentLog,
  });

  test("gets the bytes that were read, after the file was released and has become another one", async () => {
    const folder = await temporaryFolder();
    const [quick, inner] = [await temporaryStore(), await temporaryStore()];
    const slow = hung(inner);
    const content = makeSegment({ name, content: "hard" });
    const path = await writeWal(folder, name, content);
    const push = await startPush(contextOf(), {
      path,
      file: requireWalFileName(name),
      targets: [target(quick, "zstd", "quick"), target(slow.store, "zstd", "slow")],
      expected: expectedSystem,
    });

    expect(await push.outcomes[0]).toMatchObject({ kind: "archived", repository: "quick" });
    expect(await push.checksum()).toMatch(/^xxh64:/);
    await push.release();
    await writeFile(path, makeSegment({ name: segmentName(9) }));
    slow.open();

    expect(await push.outcomes[1]).toMatchObject({ kind: "archived", repository: "slow" });
    const stored = await readObject(inner, keyOf(name), mib);
    expect(zstdDecompressSync(stored ?? "").equals(content)).toBe(true);
  });

  test("finds a conflict only with the file that was read: one that was recycled meanwhile is compared later", async () => {
    const folder = await temporaryFolder();
    const [quick, inner] = [await temporaryStore(), await temporaryStore()];
    const path = await writeWal(folder, name, makeSegment({ name }));
    await pushOnce([target(inner)], path);
    const slow = hung(inner);
    const push = await startPush(contextOf(), {
      path,
      file: requireWalFileName(name),
      targets: [target(quick, "zstd", "quick"), target(slow.store, "zstd", "slow")],
      expected: expectedSystem,
    });
    await push.outcomes[0];
    await push.release();
    await writeFile(path, makeSegment({ name: segmentName(9) }));
    slow.open();

    expect(await push.outcomes[1]).toMatchObject({ kind: "failed", error: { code: "wal-timeout" } });
  });

  test("holds up a file that is too large for memory for two seconds, and gets it alone", async () => {
    const folder = await temporaryFolder();
    const [quick, inner] = [await temporaryStore(), await temporaryStore()];
    const slow = hung(inner);
    const sizeBytes = 32 * mib;
    const large = segmentName(1, { sizeBytes });
    const path = await writeWal(folder, large, makeSegment({ name: large, sizeBytes }));
    const expected = { ...expectedSystem, walSegmentSizeBytes: sizeBytes };

    const { outcomes } = await pushOnce(
      [target(quick, "zstd", "quick"), target(slow.store, "zstd", "slow")],
      path,
      expected,
    );

    expect(outcomes).toMatchObject([
      { kind: "archived", repository: "quick" },
      { kind: "failed", repository: "slow", error: { code: "wal-timeout" } },
    ]);
    setTimeout(slow.open, 2500);
    expect((await pushOnce([target(slow.store, "zstd", "slow")], path, expected)).outcomes[0]?.kind).not.toBe(
      "failed",
    );
  });
});

describe("what is not the WAL file it is called", () => {
  const cases: readonly (readonly [string, string, Buffer | string])[] = [
    ["a segment of another system", name, makeSegment({ name, system: systemIdentifier(5n) })],
    ["a segment under another name", name, makeSegment({ name: segmentName(4) })],
    ["a segment cut short", name, makeSegment({ name }).subarray(0, mib / 2)],
    ["zeros", name, Buffer.alloc(mib)],
    ["an empty file", name, ""],
    ["a history without a parent", "00000002.history", ""],
    ["a history cut inside its last line", "00000002.history", "1\t0/300"],
    ["a history of its own children", "00000002.history", "5\t0/3000000\tx\n"],
    ["a label without positions", `${name}.00000028.backup`, "hello\n"],
  ];
  test.each(cases)("%s is refused before anything is stored", async (_title, fileName, content) => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    const path = await writeWal(folder, fileName, content);

    await expect(pushOnce([target(store)], path)).rejects.toMatchObject({ code: "wal-refused" });
    expect(await keysOf(store)).toEqual([]);
  });

  test("a name that is none of a WAL file is a mistake of the caller", async () => {
    const store = await temporaryStore();

    const pushed = pushWalFile({
      path: "/pg_wal/xlogtemp.12",
      targets: [target(store)],
      expected: expectedSystem,
    });

    await expect(pushed).rejects.toMatchObject({ code: "usage" });
  });
});

test("history files, labels and partial segments are archived too", async () => {
  const folder = await temporaryFolder();
  const store = await temporaryStore();
  const label = `START WAL LOCATION: 0/300028 (file ${name})\nCHECKPOINT LOCATION: 0/300060\n`;
  const files: Record<string, Buffer | string> = {
    "00000002.history": "1\t0/300000\tno recovery target specified\n",
    [`${name}.00000028.backup`]: label,
    [`${name}.partial`]: makeSegment({ name }),
  };
  for (const [fileName, content] of Object.entries(files)) {
    const path = await writeWal(folder, fileName, content);
    const { outcomes } = await pushOnce([target(store, "gzip")], path);
    expect(outcomes).toMatchObject([{ kind: "archived" }]);
  }

  expect((await keysOf(store)).filter((key) => key.includes("/wals/"))).toEqual([
    keyOf(name, ".00000028.backup.gz"),
    keyOf(name, ".partial.gz"),
    "pg1/wals/00000002.history.gz",
  ]);
});

test("a file that is written to while it is read is not archived as it was", async () => {
  const folder = await temporaryFolder();
  const inner = await temporaryStore();
  const path = await writeWal(folder, name, makeSegment({ name }));
  // The claim's requests take their time; meanwhile the file changes.
  const store = faultyStore(inner, { latencyMs: 50 });

  const pushed = pushOnce([target(store)], path);
  setTimeout(() => void utimes(path, new Date(), new Date()), 60);

  await expect(pushed).rejects.toMatchObject({ code: "wal-refused" });
  expect((await readFile(join(folder, name))).length).toBe(mib);
});
