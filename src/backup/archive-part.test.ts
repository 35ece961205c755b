import { randomBytes } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CodecName } from "../codec/codec.ts";
import { codecNamed } from "../codec/codecs.ts";
import { through } from "../codec/testing/streams.ts";
import { systemClock } from "../common/clock.ts";
import { silentLog } from "../common/log.ts";
import { parseBackupId } from "../repository/backup-id.ts";
import { parseServerName } from "../repository/server-name.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import { copyFile } from "./copy-file.ts";
import { LaneBuffers } from "./lane-buffers.ts";
import { PartUpload } from "./part-upload.ts";
import { PartWriter } from "./part-writer.ts";
import { PieceMemory } from "./piece.ts";
import { Progress } from "./progress.ts";
import { TargetUpload } from "./target-upload.ts";
import { testBackup } from "./testing/test-backup.ts";
import { planUpload } from "../storage/upload-plan.ts";

let root: string;
let store: ObjectStore;
const signal = new AbortController().signal;
const context = {
  names: { user: () => "postgres", group: () => "postgres" },
  pages: undefined,
  progress: new Progress(systemClock),
  log: silentLog,
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "part-"));
  store = await openFileStore({ root: join(root, "store"), createRoot: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const id = parseBackupId("20261122T030000");

function openPart(codec: CodecName, uploadPartBytes = 100_000) {
  const repository = { name: "main", server: parseServerName("srv"), store, log: silentLog };
  const { destinations, pace } = testBackup([repository], { form: { codec } });
  const options = { lanes: 2, maxPartBytes: 1, uploadPartBytes, signal };
  const writer = new PartWriter({ destinations, pace, id, ...options });
  const open = writer.open("data", 0, new LaneBuffers(8192));
  return {
    part: open.part,
    /** The object's path, and what the manifest will say of it. */
    finish: async () => {
      await open.part.end();
      writer.publish(open);
      for (const destination of destinations.all) await writer.settled(destination);
      const [finished] = writer.finished({ codec });
      writer[Symbol.dispose]();
      if (finished === undefined) throw new Error("there is no part");
      return { ...finished, path: join(root, "store/srv/base", id, finished.name) };
    },
  };
}

const file = (name: string) => ({
  file: { kind: "file", path: name, source: join(root, name), relation: undefined } as const,
  reportPrefix: "",
});

describe.each(["none", "gzip", "zstd", "lz4", "snappy"] as const)("a part written with %s", (codec) => {
  it("is one tar that GNU tar unpacks to the same files, of every size around the buffers'", async () => {
    const sizes = [0, 1, 511, 512, 513, 8192, 65_536, 65_537, 1_048_064, 1_048_576, 1_048_577, 3_500_000];
    for (const size of sizes) writeFileSync(join(root, `f${size}`), randomBytes(size));
    const { part, finish } = openPart(codec);

    for (const size of sizes) await copyFile(file(`f${size}`), part, context);
    const { tarBytes, storedBytes, path } = await finish();

    const stored = readFileSync(path);
    const tar = await through(codecNamed(codec).createDecoder(), [stored]);
    expect([stored.length, tar.length, tarBytes % 10_240]).toEqual([storedBytes, tarBytes, 0]);
    writeFileSync(join(root, "out.tar"), tar);
    execFileSync("tar", ["-xf", join(root, "out.tar"), "-C", join(root, "store")]);
    for (const size of sizes) {
      expect(readFileSync(join(root, "store", `f${size}`)).equals(readFileSync(join(root, `f${size}`)))).toBe(
        true,
      );
    }
  });
});

describe("a file that changes while it is copied", () => {
  it("is stored with the size its header announced: cut when it has grown, zeros where it has shrunk", async () => {
    writeFileSync(join(root, "grows"), randomBytes(5_000_000));
    writeFileSync(join(root, "shrinks"), Buffer.alloc(5_000_000, 7));
    const { part, finish } = openPart("none");
    // The header is written and the file's first slot read before the change.
    const growing = copyFile(file("grows"), part, context);
    appendFileSync(join(root, "grows"), "more");
    await growing;
    const shrinking = copyFile(file("shrinks"), part, context);
    truncateSync(join(root, "shrinks"), 0);
    await shrinking;
    await copyFile(file("gone"), part, context);
    const { path } = await finish();

    execFileSync("tar", ["-xf", path, "-C", join(root, "store")]);
    expect(
      readFileSync(join(root, "store/grows")).equals(
        readFileSync(join(root, "grows")).subarray(0, 5_000_000),
      ),
    ).toBe(true);
    const shrunk = readFileSync(join(root, "store/shrinks"));
    expect(shrunk.length).toBe(5_000_000);
    expect(shrunk.subarray(-1_000_000).every((byte) => byte === 0)).toBe(true);
  });
});

function openUpload(keys: readonly string[], partBytes: number): PartUpload {
  const server = parseServerName("srv");
  const { destinations, pace } = testBackup(keys.map((name) => ({ name, server, store, log: silentLog })));
  const targets = destinations.all.map(
    (destination) =>
      new TargetUpload({
        destination,
        key: destination.repository.name,
        partBytes,
        maxInFlight: 2,
        fail: (_failed, error) => expect.fail(String(error)),
        changed: () => pace.changed(),
      }),
  );
  const late = () => destinations.all.filter((_, index) => targets[index]?.isReady === false);
  const isAnyReady = () => targets.some(({ isReady }) => isReady);
  return new PartUpload({
    targets,
    partBytes,
    memory: new PieceMemory(),
    pass: async (_upload, bytes) => pace.pass(targets, { bytes, late, isAnyReady }),
  });
}

describe("an upload", () => {
  it("stores exactly the chunks in every target, however they are cut, and abort leaves nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 50 }),
        async (chunks, partBytes) => {
          const upload = openUpload(["one", "two"], partBytes);
          const dropped = openUpload(["three"], partBytes);
          for (const chunk of chunks) {
            await upload.write(chunk);
            await dropped.write(chunk);
          }
          const { storedBytes } = upload.stored();
          await Promise.all(upload.publish().map(async ({ settled }) => settled));
          await dropped.abort();

          const all = Buffer.concat(chunks);
          expect(storedBytes).toBe(all.length);
          for (const key of ["one", "two"])
            expect(readFileSync(join(root, "store", key)).equals(all)).toBe(true);
          expect(await store.head("three")).toBeUndefined();
          for await (const _ of store.abandonedUploads("")) expect.fail("an upload was left behind");
        },
      ),
      { numRuns: 30 },
    );
  });

  it("is planned within the limits of every store", () => {
    const s3 = {
      conditionalCreate: true,
      minPartBytes: 5_242_880,
      maxPartBytes: 5 * 2 ** 30,
      maxParts: 10_000,
      preferredPartBytes: 16_777_216,
      parallelParts: true,
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 44 }),
        fc.option(fc.integer({ min: 1, max: 2 ** 26 })),
        (bytes, wanted) => {
          const { partBytes } = planUpload([s3, { ...s3, minPartBytes: 1 }], bytes, wanted ?? undefined);
          expect(partBytes).toBeGreaterThanOrEqual(s3.minPartBytes);
          expect(partBytes).toBeLessThanOrEqual(s3.maxPartBytes);
          expect(partBytes * s3.maxParts).toBeGreaterThanOrEqual(bytes);
        },
      ),
    );
    expect(planUpload([s3], 2 ** 30)).toEqual({ partBytes: 16_777_216, maxInFlight: 1 });
    expect(planUpload([s3, { ...s3, parallelParts: false }], 1, 5_242_880)).toEqual({
      partBytes: 5_242_880,
      maxInFlight: 1,
    });
  });
});
