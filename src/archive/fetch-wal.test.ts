import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { mib } from "../common/units.ts";
import { systemIdentifier } from "../postgres/system-identifier.ts";
import { fileStoreError } from "../storage/file/file-errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { faultyStore, type FaultyStore } from "../storage/testing/faulty-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { interceptStore } from "../storage/wrappers/intercept.ts";
import { codecNamed } from "../codec/codecs.ts";
import { codecNames } from "../codec/codec.ts";
import { pushOnce, temporaryFolder, testRepository, writeWal } from "./testing/archive-bench.ts";
import { makeSegment, segmentName, testSystem } from "./testing/wal-files.ts";
import { fetchWalFile } from "./wal-file.ts";

const name = segmentName(3);
const content = makeSegment({ name, content: "hard" });
const withChecksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const keyOf = (extension: string) => `pg1/wals/${name.slice(0, 16)}/${name}${extension}`;

async function fetchFrom(
  folder: string,
  stores: readonly ObjectStore[],
  options: Partial<Parameters<typeof fetchWalFile>[0]> = {},
) {
  return fetchWalFile({
    name,
    destination: join(folder, "RECOVERYXLOG"),
    repositories: stores.map((store, index) => testRepository(store, `r${index}`)),
    walSegmentSizeBytes: mib,
    expectedSystemIdentifier: testSystem,
    ...options,
  });
}

/** Nothing under the destination's name, and no leftovers. */
const expectNothing = async (folder: string) => expect(await readdir(folder)).toEqual([]);

describe("fetching a WAL segment", () => {
  test.each(codecNames.filter((codec) => codecNamed(codec).createEncoder !== undefined))(
    "stored with %s gives the same bytes",
    async (codec) => {
      const [source, folder] = [await temporaryFolder(), await temporaryFolder()];
      const store = await temporaryStore();
      await pushOnce([{ repository: testRepository(store), codec }], await writeWal(source, name, content));

      const outcome = await fetchFrom(folder, [store]);

      expect(outcome).toEqual({ kind: "delivered", bytes: mib, repository: "r0" });
      expect((await readFile(join(folder, "RECOVERYXLOG"))).equals(content)).toBe(true);
      expect(await readdir(folder)).toEqual(["RECOVERYXLOG"]);
    },
  );

  test("of an archive by Barman needs nothing of ours", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await store.put(keyOf(".gz"), [gzipSync(content.subarray(0, 5000)), gzipSync(content.subarray(5000))]);

    expect(await fetchFrom(folder, [store])).toMatchObject({ kind: "delivered" });
    expect((await readFile(join(folder, "RECOVERYXLOG"))).equals(content)).toBe(true);
  });

  test("takes it only from the system that the repository belongs to, also when the caller knows none", async () => {
    const [source, folder] = [await temporaryFolder(), await temporaryFolder()];
    const store = await temporaryStore();
    await pushOnce(
      [{ repository: testRepository(store), codec: "zstd" }],
      await writeWal(source, name, content),
    );
    const [foreign, short] = [segmentName(4), segmentName(5)];
    const put = async (wal: string, segment: Buffer) =>
      store.put(`pg1/wals/${wal.slice(0, 16)}/${wal}.zst`, [zstdCompressSync(segment, withChecksum)]);
    await put(foreign, makeSegment({ name: foreign, system: systemIdentifier(5n) }));
    await put(short, makeSegment({ name: short, sizeBytes: 16 * mib }));
    const fetch = async (wal: string) =>
      fetchWalFile({
        name: wal,
        destination: join(folder, "RECOVERYXLOG"),
        repositories: [testRepository(store)],
      });

    await expect(fetch(foreign)).rejects.toMatchObject({ code: "object-corrupt" });
    await expect(fetch(short)).rejects.toMatchObject({ code: "object-corrupt" });
    await expectNothing(folder);
    expect(await fetch(name)).toMatchObject({ kind: "delivered" });
  });

  test("is certain that it is absent", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await store.put(`${keyOf("")}.partial.gz`, [gzipSync(content)]);

    expect(await fetchFrom(folder, [store, await temporaryStore()])).toEqual({ kind: "absent" });
    await expectNothing(folder);
  });

  test("could not tell when one of the repositories cannot be asked", async () => {
    const folder = await temporaryFolder();
    const down = faultyStore(await temporaryStore(), { probability: 1 });

    const fetched = fetchFrom(folder, [await temporaryStore(), down]);

    await expect(fetched).rejects.toMatchObject({ code: "store-unavailable" });
  });

  test("takes the next repository when one is down, and when one holds a damaged copy", async () => {
    const folder = await temporaryFolder();
    const down = faultyStore(await temporaryStore(), { probability: 1 });
    const [damaged, good] = [await temporaryStore(), await temporaryStore()];
    await damaged.put(keyOf(".gz"), [gzipSync(content).subarray(0, -100)]);
    await good.put(keyOf(".zst"), [zstdCompressSync(content)]);

    expect(await fetchFrom(folder, [down, damaged, good])).toMatchObject({
      kind: "delivered",
      repository: "r2",
    });
    expect((await readFile(join(folder, "RECOVERYXLOG"))).equals(content)).toBe(true);
  });

  test("takes the next repository when the disk of one cannot read the file, and without one cannot tell", async () => {
    const folder = await temporaryFolder();
    const eio = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
    const failing = interceptStore(await temporaryStore(), {
      call: async (call, options, run) => {
        if (call.operation === "get") throw fileStoreError(`read "${call.key}"`, "/srv", eio);
        return run(options);
      },
    });
    await failing.put(keyOf(".zst"), [zstdCompressSync(content, withChecksum)]);
    const good = await temporaryStore();
    await good.put(keyOf(".zst"), [zstdCompressSync(content, withChecksum)]);

    await expect(fetchFrom(folder, [failing, await temporaryStore()])).rejects.toMatchObject({
      code: "store-unavailable",
    });
    expect(await fetchFrom(folder, [failing, good])).toMatchObject({ kind: "delivered", repository: "r1" });
  });

  test("takes the good one of two objects with its name", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await store.put(keyOf(""), [content.subarray(0, mib - 8192)]);
    await store.put(keyOf(".gz"), [gzipSync(content)]);

    expect(await fetchFrom(folder, [store])).toMatchObject({ kind: "delivered" });
  });

  test("delivers a partial segment only by its own name", async () => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await store.put(keyOf(".partial.gz"), [gzipSync(content)]);

    expect(await fetchFrom(folder, [store], { name: `${name}.partial` })).toMatchObject({
      kind: "delivered",
    });
  });
});

describe("what is damaged is never delivered", () => {
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 0x20;
    return copy;
  };
  const foreign = makeSegment({ name, system: systemIdentifier(5n) });
  const cases: readonly (readonly [string, string, Buffer])[] = [
    ["a compressed object that ends early", ".zst", zstdCompressSync(content).subarray(0, -1)],
    [
      "a compressed object with something behind it",
      ".gz",
      Buffer.concat([gzipSync(content), Buffer.alloc(3)]),
    ],
    ["half of a segment, compressed well", ".gz", gzipSync(content.subarray(0, mib / 2))],
    ["two segments in one object", ".gz", gzipSync(Buffer.concat([content, content]))],
    ["a segment of another name", ".gz", gzipSync(makeSegment({ name: segmentName(4) }))],
    ["a segment of another system", ".gz", gzipSync(foreign)],
    ["an empty object", "", Buffer.alloc(0)],
    ["a plain segment cut short", "", content.subarray(0, -1)],
    [
      "a plain segment with a page of another place",
      "",
      Buffer.concat([content.subarray(0, 81_920), content.subarray(0, mib - 81_920)]),
    ],
    ["a plain segment with a broken page header", "", flipped(content, 40 * 8192)],
  ];
  test.each(cases)("%s", async (_title, extension, stored) => {
    const folder = await temporaryFolder();
    const store = await temporaryStore();
    await store.put(keyOf(extension), [stored]);

    await expect(fetchFrom(folder, [store])).rejects.toMatchObject({ code: "object-corrupt" });
    await expectNothing(folder);
  });

  test("a plain segment of ours with one bit flipped anywhere", async () => {
    const [source, folder] = [await temporaryFolder(), await temporaryFolder()];
    const store = await temporaryStore();
    await pushOnce(
      [{ repository: testRepository(store), codec: "none" }],
      await writeWal(source, name, content),
    );
    await store.put(keyOf(""), [flipped(content, 500_001)]);

    await expect(fetchFrom(folder, [store])).rejects.toMatchObject({ code: "object-corrupt" });
    await expectNothing(folder);
  });

  test("a body that is cut or flipped on its way", async () => {
    const folder = await temporaryFolder();
    const inner = await temporaryStore();
    await inner.put(keyOf(".zst"), [zstdCompressSync(content, withChecksum)]);
    for (const kind of ["truncated-body", "corrupted-body"] as const) {
      const store = faultyStore(inner, { kind, probability: 1 });

      await expect(fetchFrom(folder, [store])).rejects.toMatchObject({ name: "EngineError" });
      await expectNothing(folder);
    }
  });
});

test("every store call failing in turn gives the file or an error, never absent and never other bytes", async () => {
  const source = await temporaryFolder();
  const inner = await temporaryStore();
  await pushOnce(
    [{ repository: testRepository(inner), codec: "gzip" }],
    await writeWal(source, name, content),
  );
  let failAtCall = 0;
  let fault: FaultyStore;
  do {
    const folder = await temporaryFolder();
    fault = faultyStore(inner, { failAtCall: ++failAtCall });

    const outcome: unknown = await fetchFrom(folder, [fault]).catch((error: unknown) => error);

    const wanted = fault.faults === 0 ? { kind: "delivered" } : { code: "store-unavailable" };
    expect(outcome).toMatchObject(wanted);
    expect(await readdir(folder)).toEqual(fault.faults === 0 ? ["RECOVERYXLOG"] : []);
  } while (fault.faults > 0);
  expect(failAtCall).toBeGreaterThan(2);
});
