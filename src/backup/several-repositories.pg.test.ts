import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { CodecName } from "../codec/codec.ts";
import { silentLog } from "../common/log.ts";
import { testFolder } from "../postgres/testing/test-server.ts";
import { readBackupManifest } from "../repository/backup-manifest.ts";
import { readCatalogue } from "../repository/catalogue.ts";
import { basePrefix } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { faultyStore } from "../storage/testing/faulty-store.ts";
import { interceptStore, type StoreOperation } from "../storage/wrappers/intercept.ts";
import { wrapStore } from "../storage/wrap-store.ts";
import type { BackupChildOrder } from "./testing/backup-child.ts";
import {
  backupLab,
  serveRestored,
  unpackByHand,
  type BackupLab,
  type LabRepository,
} from "./testing/backup-lab.ts";
import { requireSound } from "./testing/require-sound.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("testing/backup-child.ts", import.meta.url));

async function keysOf({ store, repository }: LabRepository): Promise<string[]> {
  const keys: string[] = [];
  const prefix = basePrefix(repository.server);
  for await (const entry of store.list(prefix)) if (entry.kind === "object") keys.push(entry.key);
  for await (const upload of store.abandonedUploads(prefix)) keys.push(`upload of ${upload.key}`);
  return keys;
}

async function wipe(lab: BackupLab): Promise<void> {
  for (const each of [lab, lab.second]) {
    await each.store.delete((await keysOf(each)).filter((key) => !key.startsWith("upload")));
  }
}

/** The lab's repositories, the second one with another store around it. */
function withSecond(lab: BackupLab, around: (store: ObjectStore) => ObjectStore): readonly Repository[] {
  return [lab.repository, { ...lab.second.repository, store: around(lab.second.store) }];
}

/** A store that does not answer one kind of call, but for the first few; given up, it ends. */
function hanging(store: ObjectStore, operation: StoreOperation, spare = 0): ObjectStore {
  let calls = 0;
  const hang = async (signal: AbortSignal | undefined) =>
    new Promise<never>((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("given up")), { once: true });
    });
  return interceptStore(store, {
    call: async (call, options, proceed) =>
      call.operation === operation && ++calls > spare ? hang(options.signal) : proceed(options),
  });
}

describe("a backup into several repositories", () => {
  it("is read once, whatever forms they want, and each has the same files", async () => {
    await using lab = await backupLab();
    await using folder = await testFolder();
    await lab.server.sql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i");
    await lab.server.sql("CHECKPOINT");
    const bytesReadFor = async (codecs: readonly CodecName[], name: string) => {
      const roots = await Promise.all(codecs.map(async (codec) => folder.make(`${name}-${codec}`)));
      const order: BackupChildOrder = {
        repositories: codecs.map((codec, index) => ({ root: roots[index] ?? "", codec })),
        connection: lab.server.server.connection,
        hasNoWal: true,
      };
      const { stdout } = await run(process.execPath, [child, JSON.stringify(order)]);
      return { bytes: Number(stdout), roots };
    };

    const one = await bytesReadFor(["zstd"], "one");
    const three = await bytesReadFor(["zstd", "gzip", "none"], "three");

    expect(one.bytes).toBeGreaterThan(20_000_000);
    expect(Math.abs(three.bytes - one.bytes)).toBeLessThan(0.02 * one.bytes);
    const unpacked: string[] = [];
    for (const [index, storeRoot] of three.roots.entries()) {
      const repository = { ...lab.repository, store: await openFileStore({ root: storeRoot }) };
      expect(await requireSound(repository)).toBe(1);
      const [entry] = await readCatalogue(repository);
      if (entry === undefined) throw new Error("there is no backup");
      const { parts = [] } = (await readBackupManifest(repository, entry.id)) ?? {};
      const extension = ["tar.zst", "tar.gz", "tar"][index];
      expect(parts.map(({ name }) => name.slice(name.indexOf(".") + 1))).toEqual(parts.map(() => extension));
      const target = join(folder.path, `unpacked-${index}`);
      await unpackByHand({ repository, storeRoot }, entry.id, target);
      unpacked.push(target);
    }
    for (const other of unpacked.slice(1)) await run("diff", ["-r", unpacked[0] ?? "", other]);
  });

  it("is restorable from each of them", async () => {
    await using lab = await backupLab({ repositories: 2 });
    await using folder = await testFolder();
    await lab.server.sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS i");
    const forms = new Map([["second", { codec: "gzip" }]] as const);

    const { id, copies, missing } = await lab.backUp({ forms });

    expect(missing).toEqual([]);
    expect(copies.map(({ repository, form }) => [repository, form.codec])).toEqual([
      ["main", "zstd"],
      ["second", "gzip"],
    ]);
    for (const each of [lab, lab.second]) {
      const target = await folder.make(`restored-${each.repository.name}`);
      await unpackByHand(each, id, target);
      await using restored = await serveRestored({ ...lab, ...each }, folder, target);
      expect(await restored.sql("SELECT count(*)::int FROM t")).toEqual([{ count: 100_000 }]);
    }
  });
});

describe("one of two repositories that fails", () => {
  let lab: BackupLab;
  beforeAll(async () => {
    lab = await backupLab({ repositories: 2 });
  });
  afterEach(async () => wipe(lab));
  afterAll(async () => lab[Symbol.asyncDispose]());

  it("at whichever call, leaves the other's backup complete, and nothing half in its own", async () => {
    // Few calls, which come in nearly the same order every time.
    const options = { lanes: 1, maxPartBytes: 16_000_000, uploadPartBytes: 2_000_000 };
    const clean = faultyStore(lab.second.store);
    await lab.backUp(options, { repositories: withSecond(lab, () => clean) });
    await wipe(lab);
    expect(clean.calls).toBeGreaterThan(15);

    let partial = 0;
    for (let call = 1; call <= clean.calls; call++) {
      const kind = call % 2 === 0 ? "unavailable" : "lost-answer";
      const repositories = withSecond(lab, (store) => faultyStore(store, { kind, failAtCall: call }));
      const { id, missing } = await lab.backUp(options, { repositories });

      expect([call, await requireSound(lab.repository)]).toEqual([call, 1]);
      const inSecond = await requireSound(lab.second.repository);
      expect([call, inSecond]).toEqual([call, missing.length === 0 ? 1 : 0]);
      partial += missing.length;
      const why = { repository: "second", error: { code: "store-unavailable" } };
      expect([call, missing]).toMatchObject([call, missing.map(() => why)]);
      // Before the backup had its ID, a mark may stay, which the next backup removes.
      const left = missing.length === 0 ? [] : await keysOf(lab.second);
      expect([call, left.filter((key) => !key.endsWith("/running.json"))]).toEqual([call, []]);
      expect([call, (await readCatalogue(lab.repository)).map((entry) => entry.id)]).toEqual([call, [id]]);
      await wipe(lab);
    }

    expect(partial).toBeGreaterThan(10);
    expect(
      lab.lines.filter(({ message }) => message === "a repository is left out of the backup"),
    ).toHaveLength(partial);
  });

  it("is left out from the beginning, unless all are required: then nothing is visible anywhere", async () => {
    const down = faultyStore(lab.second.store, { kind: "unavailable", probability: 1 });
    const repositories = withSecond(lab, () => down);

    const { missing } = await lab.backUp({}, { repositories });
    await expect(lab.backUp({ policy: "all" }, { repositories })).rejects.toMatchObject({
      code: "store-unavailable",
      message: expect.stringContaining(
        'fewer than 2 of 2 repositories can take the backup: "second": ',
      ) as string,
    });

    expect(missing.map(({ repository }) => repository)).toEqual(["second"]);
    expect(await requireSound(lab.repository)).toBe(1);
    expect((await readCatalogue(lab.repository)).map(({ kind }) => kind)).toEqual(["done"]);
    await expect(lab.backUp({ policy: 3 })).rejects.toMatchObject({ code: "usage" });
  });

  it.each([
    // At the start the others wait for its answer for a while, then no longer.
    ["put", 0, /did not answer within .* of another repository/],
    ["startUpload", 0, /is too slow: it has kept the other repositories waiting for/],
    ["writePart", 2, /is too slow/],
    ["completeUpload", 0, /is too slow/],
  ] as const)(
    "by hanging in %s is left out, and the other one is not held up for long",
    async (operation, spare, why) => {
      const repositories = withSecond(lab, (store) => hanging(store, operation, spare));
      const limits = { answerGraceMs: 100, maxHoldUpMs: 150, maxBehindBytes: 500_000 };

      const { missing, id } = await lab.backUp(
        { ...limits, forms: new Map([["second", { codec: "none" }]]) },
        { repositories },
      );

      expect(missing.map(({ repository, error }) => [repository, error.message])).toEqual([
        ["second", expect.stringMatching(why)],
      ]);
      expect((await readCatalogue(lab.repository)).map((entry) => [entry.id, entry.kind])).toEqual([
        [id, "done"],
      ]);
      expect(await keysOf(lab.second)).toEqual([]);
    },
  );

  it("by hanging in its last steps is left out by the store's own time-out", async () => {
    // Marks are put before the manifest.
    const around = (store: ObjectStore) =>
      wrapStore(hanging(store, "put", 4), {
        log: silentLog,
        timeout: { callMs: 200, abortGraceMs: 50 },
        retry: { maxAttempts: 1 },
      });

    const { missing } = await lab.backUp({}, { repositories: withSecond(lab, around) });

    expect(missing).toMatchObject([
      { repository: "second", error: { message: expect.stringContaining("no answer within") as string } },
    ]);
    expect(await requireSound(lab.repository)).toBe(1);
    expect(await requireSound(lab.second.repository)).toBe(0);
  });

  it("by losing its WAL does not get the backup, which is visible in the other one", async () => {
    const archive = {
      waitFor: async ({ name }: Repository) => {
        if (name === "second") throw new Error("no WAL arrives");
      },
    };

    const { missing } = await lab.backUp({}, { archive });

    expect(missing.map(({ error }) => error.message)).toEqual(["no WAL arrives"]);
    expect(await keysOf(lab.second)).toEqual([]);
    expect(await requireSound(lab.repository)).toBe(1);
  });

  it("for whose WAL the caller does not wait any longer is left out, and the other one stays complete", async () => {
    const stop = new AbortController();
    const archive = {
      waitFor: async ({ name }: Repository, _needed: unknown, signal: AbortSignal) => {
        if (name === "main") return;
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
          // The first repository has the backup by then.
          const look = async () => {
            const [entry] = await readCatalogue(lab.repository);
            if (entry?.kind === "done") stop.abort();
            else setTimeout(() => void look(), 20);
          };
          void look();
        });
      },
    };

    const { missing } = await lab.backUp({}, { archive, signal: stop.signal });

    expect(missing).toMatchObject([{ repository: "second", error: { code: "aborted" } }]);
    expect(await requireSound(lab.repository)).toBe(1);
    expect(await keysOf(lab.second)).toEqual([]);
  });
});
