import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { onTestFinished, describe, expect, test } from "vitest";
import { EngineError } from "../common/errors.ts";
import { silentLog } from "../common/log.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import type { Repository } from "../repository/repository.ts";
import { parseServerName } from "../repository/server-name.ts";
import type { ReplacedObject } from "../repository/several-repositories.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { checkBackupParts } from "./backup-parts.ts";
import { placeInDataDirectory } from "./members.ts";
import { planLayouts, type BackupSource } from "./part-layouts.ts";
import { tarOf, type SampleMember } from "./testing/tar.ts";
import { TreeWriter } from "./tree-writer.ts";
import { unpackArchives } from "./unpack.ts";

const first: readonly SampleMember[] = [
  { path: ".", kind: "directory" },
  { path: "base/1/1", content: "x".repeat(9000) },
  { path: "only/in/first", content: "1" },
];
const second: readonly SampleMember[] = [
  { path: "base/1/2", content: "y".repeat(9000) },
  { path: "link", kind: "symlink", linkPath: "base/1/1" },
];
const archives = [first, second];

interface Given {
  readonly codec?: "gzip" | "zstd";
  readonly archives?: readonly (readonly SampleMember[])[];
  /** Falsifies a part behind its manifest's back. */
  readonly change?: (stored: Buffer, index: number) => Buffer | undefined;
  readonly withManifest?: boolean;
}

async function lab() {
  const home = await mkdtemp(join(tmpdir(), "tidemark-several-"));
  onTestFinished(async () => rm(home, { recursive: true }));
  const root = join(home, "data");
  await mkdir(root);
  const source = async (name: string, given: Given = {}): Promise<BackupSource> => {
    const { codec = "gzip", change = (stored: Buffer) => stored, withManifest = true } = given;
    const store = await openFileStore({ root: join(home, name), createRoot: true });
    const repository: Repository = { name, server: parseServerName("srv"), store, log: silentLog };
    const told: BackupManifest["parts"] = [];
    const objects = [];
    for (const [index, members] of (given.archives ?? archives).entries()) {
      const tar = tarOf(members);
      const stored = codec === "gzip" ? gzipSync(tar) : zstdCompressSync(tar);
      const part = `data${index === 0 ? "" : "_0001"}.tar${codec === "gzip" ? ".gz" : ".zst"}`;
      const sha256 = createHash("sha256").update(stored).digest("hex");
      told.push({ name: part, archive: "data", storedBytes: stored.length, tarBytes: tar.length, sha256 });
      const changed = change(stored, index);
      if (changed !== undefined) objects.push(await store.put(`srv/base/x/${part}`, [changed]));
    }
    const manifest = withManifest ? ({ parts: told } as BackupManifest) : undefined;
    return { repository, parts: checkBackupParts("srv/base/x/", objects, { manifest, oids: [] }) };
  };
  const unpack = async (...sources: BackupSource[]) => {
    const layouts = planLayouts(sources);
    if (layouts.problems.length > 0) throw new Error(layouts.problems.join("; "));
    const writer = new TreeWriter({ root, owner: undefined, placeOf: placeInDataDirectory });
    const replaced: ReplacedObject[] = [...layouts.replaced];
    let bytes = 0;
    await unpackArchives({
      archives: layouts.archives,
      writerOf: () => writer,
      clear: async () => writer.takeBackAll([]),
      concurrency: 2,
      onBytes: (more) => (bytes += more),
      onReplaced: (object) => replaced.push(object),
    });
    writer.finish();
    return {
      replaced: replaced.map(({ repository, key, from }) => `${repository} ${key} ${from}`),
      bytes,
      writer,
    };
  };
  const tree = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const lines = entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path.slice(root.length)} ${entry.isFile() ? (await readFile(path, "utf8")).slice(0, 1) : ""}`.trim();
    });
    return (await Promise.all(lines)).toSorted();
  };
  return { source, unpack, tree };
}

const wholeTree = [
  "/base",
  "/base/1",
  "/base/1/1 x",
  "/base/1/2 y",
  "/link",
  "/only",
  "/only/in",
  "/only/in/first 1",
];
const flip = (stored: Buffer) =>
  stored.map((byte, at) => (at === stored.length - 20 ? byte ^ 1 : byte)) as Buffer;

describe("a bad part is taken from another repository, and the tree is as without trouble", () => {
  test("flipped, whatever codec the other one has; progress counts it once", async () => {
    const { source, unpack, tree } = await lab();
    const one = await source("one", { change: (stored, index) => (index === 0 ? flip(stored) : stored) });
    const two = await source("two", { codec: "zstd" });

    const { replaced, bytes, writer } = await unpack(one, two);

    expect(replaced).toEqual(["one srv/base/x/data.tar.gz two"]);
    expect(await tree()).toEqual(wholeTree);
    expect(writer.fileCount).toBe(3);
    expect(bytes).toBe((two.parts.parts[0]?.storedBytes ?? 0) + (one.parts.parts[1]?.storedBytes ?? 0));
  });

  test("missing or cut, which shows before anything is written", async () => {
    const { source, unpack, tree } = await lab();
    const one = await source("one", { change: (stored, index) => (index === 0 ? undefined : stored) });
    const two = await source("two", {
      change: (stored, index) => (index === 1 ? stored.subarray(1) : stored),
    });

    await unpack(one, two);

    expect(await tree()).toEqual(wholeTree);
  });

  test("another part's content: the right one that finds its files taken is not blamed", async () => {
    const { source, unpack, tree } = await lab();
    // The wrong content has as many bytes, so that only its digest gives it away.
    const wrong = [{ path: "base/1/2", content: "z".repeat(9000) }, { path: "only/in/wrong" }];
    const one = await source("one");
    const bad = await source("bad", { archives: [first, wrong] });
    const stored = bad.parts.parts[1];
    const lying: BackupSource = {
      repository: bad.repository,
      parts: {
        ...bad.parts,
        sound: bad.parts.sound.map((part) => (part === stored ? { ...part, sha256: "0".repeat(64) } : part)),
      },
    };

    const { replaced } = await unpack(
      { ...lying, parts: { ...lying.parts, manifest: one.parts.manifest } },
      one,
    );

    expect(replaced).toEqual(["bad srv/base/x/data_0001.tar.gz one"]);
    expect(await tree()).toEqual(wholeTree);
  });

  test("by its whole archive where the other one is cut differently, or has no manifest", async () => {
    for (const given of [{ archives: [[...first, ...second]] }, { withManifest: false }]) {
      const { source, unpack, tree } = await lab();
      const one = await source("one", { change: (stored, index) => (index === 1 ? flip(stored) : stored) });
      const two = await source("two", given);

      const { replaced } = await unpack(one, two);

      expect(replaced).toEqual(["one srv/base/x/data_0001.tar.gz two"]);
      expect(await tree()).toEqual(wholeTree);
    }
  });

  test.each(["unavailable", "truncated-body", "corrupted-body"] as const)(
    "when a store fails in the middle (%s), at each of its calls",
    async (kind) => {
      for (const failAtCall of [1, 2]) {
        const { source, unpack, tree } = await lab();
        const one = await source("one");
        const two = await source("two");
        const store = faultyStore(one.repository.store, { kind, failAtCall });

        const { replaced } = await unpack({ ...one, repository: { ...one.repository, store } }, two);

        expect(replaced.length).toBe(1);
        expect(await tree()).toEqual(wholeTree);
      }
    },
  );

  test("a store that is down is not asked for the parts that follow", async () => {
    const { source, unpack, tree } = await lab();
    const one = await source("one");
    let asked = 0;
    const get = async () => {
      asked++;
      throw new EngineError("store-unavailable", "switched off");
    };
    const store = { ...one.repository.store, get };

    await unpack({ ...one, repository: { ...one.repository, store } }, await source("two"));

    expect(asked).toBeLessThanOrEqual(2);
    expect(await tree()).toEqual(wholeTree);
  });
});

test("a part that is bad everywhere is the error, and names the object", async () => {
  const { source, unpack } = await lab();
  const bad = (stored: Buffer, index: number) => (index === 0 ? flip(stored) : stored);

  await expect(
    unpack(await source("one", { change: bad }), await source("two", { change: bad })),
  ).rejects.toMatchObject({
    code: "object-corrupt",
    message: expect.stringMatching(/two\/srv\/base\/x\/data\.tar\.gz/) as string,
  });
});
