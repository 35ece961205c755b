import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { pushOnce, temporaryFolder, testRepository, writeWal } from "../archive/testing/archive-bench.ts";
import { makeSegment, segmentName } from "../archive/testing/wal-files.ts";
import { silentLog } from "../common/log.ts";
import { mib } from "../common/units.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { parseWalSegmentName } from "../postgres/wal-file-name.ts";
import { startPrefetcher, type PrefetcherOptions } from "./prefetcher.ts";
import { PrefetchWindow, windowSegments } from "./prefetch-window.ts";
import { readBootId, readyFolderOf } from "./ready-folder.ts";
import { eventually, switchedStore } from "./testing/agent-bench.ts";

async function archive(store: ObjectStore, names: readonly string[]): Promise<void> {
  const folder = await temporaryFolder();
  for (const name of names) {
    const content = name.endsWith(".history") ? "1\t0/500000\tx\n" : makeSegment({ name });
    await pushOnce(
      [{ repository: testRepository(store), codec: "zstd" }],
      await writeWal(folder, name, content),
    );
  }
}

async function serve(store: ObjectStore, options: Partial<PrefetcherOptions> = {}) {
  const dataDirectory = await temporaryFolder();
  const root = join(dataDirectory, "pg_wal", ".prefetch");
  await mkdir(join(dataDirectory, "pg_wal"));
  const prefetcher = await startPrefetcher({
    root,
    repositories: [testRepository(store)],
    walSegmentSizeBytes: mib,
    fetchCommand: ["false"],
    log: silentLog,
    limitBytes: 4 * mib,
    ...options,
  });
  onTestFinished(async () => prefetcher[Symbol.asyncDispose]());
  /** As PostgreSQL runs it: the exit status. */
  const restore = async (name: string) => {
    const line = prefetcher.restoreCommand.replaceAll(
      /%[%pf]/g,
      (mark) => ({ "%%": "%", "%p": "pg_wal/RECOVERYXLOG", "%f": name })[mark] ?? mark,
    );
    return new Promise<number>((resolve) => {
      execFile("/bin/sh", ["-c", line], { cwd: dataDirectory }, (error) =>
        resolve(typeof error?.code === "number" ? error.code : 0),
      );
    });
  };
  const ready = async () =>
    (await readdir(readyFolderOf(root, await readBootId(options.bootIdPath))))
      .filter((entry) => !entry.startsWith("."))
      .sort();
  const restored = async () => readFile(join(dataDirectory, "pg_wal", "RECOVERYXLOG"));
  return { prefetcher, restore, ready, restored, root };
}

describe("prefetching", () => {
  const names = [3, 4, 5, 6, 7, 8, 9, 10].map((number) => segmentName(number));

  test("delivers what is asked for, and has the next ones ready, no more than allowed", async () => {
    const store = await temporaryStore();
    await archive(store, names);
    const { restore, ready, restored } = await serve(store);

    expect(await restore(names[0]!)).toBe(0);
    expect((await restored()).equals(makeSegment({ name: names[0]! }))).toBe(true);
    await eventually(async () => expect(await ready()).toEqual(names.slice(1, 5)));

    for (const name of names.slice(1)) expect(await restore(name)).toBe(0);
    expect((await restored()).equals(makeSegment({ name: names.at(-1)! }))).toBe(true);
    expect(await restore(segmentName(11))).toBe(1);
  });

  test("goes back when replay does, and drops what another timeline leaves over", async () => {
    const store = await temporaryStore();
    const second = [5, 6].map((number) => segmentName(number, { timeline: 2 }));
    await archive(store, [...names, ...second, "00000002.history"]);
    const { restore, ready } = await serve(store);

    expect(await restore(names[4]!)).toBe(0);
    expect(await restore(names[0]!)).toBe(0);
    expect(await restore("00000002.history")).toBe(0);
    expect(await restore("00000003.history")).toBe(1);
    expect(await restore(second[0]!)).toBe(0);

    await eventually(async () => expect(await ready()).toEqual([second[1]]));
  });

  test("looks again for what was absent", async () => {
    const store = await temporaryStore();
    await archive(store, names.slice(0, 2));
    const { restore } = await serve(store);
    expect(await restore(names[1]!)).toBe(0);
    expect(await restore(names[2]!)).toBe(1);

    await archive(store, names.slice(2, 4));

    expect(await restore(names[2]!)).toBe(0);
    expect(await restore(names[3]!)).toBe(0);
  });

  test("stops recovery when the store cannot be asked, and waits for one that comes back", async () => {
    const store = switchedStore(await temporaryStore());
    await archive(store, names.slice(0, 2));
    const impatient = await serve(store, { patienceMs: 0 });
    const patient = await serve(store);
    store.isDown = true;

    expect(await impatient.restore(names[0]!)).toBe(150);
    setTimeout(() => {
      store.isDown = false;
    }, 300);
    expect(await patient.restore(names[0]!)).toBe(0);
  });

  test("never delivers a damaged segment, nor calls it absent", async () => {
    const store = await temporaryStore();
    await archive(store, names.slice(0, 1));
    await store.put(`pg1/wals/${names[1]?.slice(0, 16)}/${names[1]}.gz`, [Buffer.from("damaged")]);
    const { restore, ready } = await serve(store);

    expect(await restore(names[0]!)).toBe(0);
    expect(await restore(names[1]!)).toBe(150);
    expect(await ready()).toEqual([]);
  });

  test("fetches ahead where the machine does not say when it was started, too", async () => {
    const store = await temporaryStore();
    await archive(store, names.slice(0, 3));
    const { root, ready } = await serve(store, { bootIdPath: "/nowhere/boot_id" });

    // This machine does say so, hence not through the restore command.
    await writeFile(join(root, "want", names[0]!), "");

    await eventually(async () => expect(await ready()).toEqual(names.slice(0, 3)));
  });

  test("is the only one in its folder, whose files another would take away", async () => {
    const { prefetcher, root } = await serve(await temporaryStore());
    const another = async () =>
      startPrefetcher({
        root,
        repositories: [],
        walSegmentSizeBytes: mib,
        fetchCommand: ["false"],
        log: silentLog,
        leaveScript: true,
      });

    await expect(another()).rejects.toMatchObject({ code: "locked" });
    expect(await readdir(root)).toContain("ready");
    await prefetcher[Symbol.asyncDispose]();
    await using next = await another();
    expect(next.idleMs()).toBeGreaterThanOrEqual(0);
    expect(await readdir(root)).toContain("ready");
  });

  test("takes over from one that was killed", async () => {
    const root = join(await temporaryFolder(), ".prefetch");
    await mkdir(root);
    // No process has this number: it is beyond what Linux gives.
    await writeFile(join(root, "agent.pid"), "4194305\n");

    await using prefetcher = await startPrefetcher({
      root,
      repositories: [],
      walSegmentSizeBytes: mib,
      fetchCommand: ["false"],
      log: silentLog,
    });
    expect(prefetcher.idleMs()).toBeGreaterThanOrEqual(0);
    expect(await readdir(root)).toContain("ready");
  });

  test("removes its folder at the end; a recovery that still asks is stopped", async () => {
    const { prefetcher, restore, root } = await serve(await temporaryStore());
    await prefetcher[Symbol.asyncDispose]();

    await expect(readdir(root)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await restore(names[0]!)).toBe(150);
    await rm(root, { recursive: true, force: true });
  });
});

describe("the window", () => {
  test("follows on the same timeline, over the end of a log file, up to the end of the archive", () => {
    const window = new PrefetchWindow(16 * mib, 3);
    expect(window.ahead()).toEqual([]);
    window.delivered(parseWalSegmentName("0000000200000001000000FE"));

    expect(window.ahead()).toEqual([
      "0000000200000001000000FF",
      "000000020000000200000000",
      "000000020000000200000001",
    ]);
    window.absent(parseWalSegmentName("000000020000000200000000"));
    expect(window.ahead()).toEqual(["0000000200000001000000FF"]);
    window.delivered(parseWalSegmentName("000000020000000200000000"));
    expect(window.ahead()).toHaveLength(3);
  });

  test.each([
    [mib, 64],
    [16 * mib, 8],
    [64 * mib, 2],
    [1024 * mib, 1],
  ])("of segments of %i bytes holds %i", (sizeBytes, segments) => {
    expect(windowSegments(sizeBytes)).toBe(segments);
  });
});
