import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposable, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { systemIdentifier } from "../src/postgres/system-identifier.ts";
import { systemClock } from "../src/common/clock.ts";
import { createLog, silentLog } from "../src/common/log.ts";
import { readHealInventory } from "../src/heal/inventory.ts";
import { healRepositories, planRepositories, type HealOptions } from "../src/heal/run-heal.ts";
import { keepKey } from "../src/repository/keys.ts";
import type { Repository } from "../src/repository/repository.ts";
import { faultyStore } from "../src/storage/testing/faulty-store.ts";
import { contentOf, emptyRepository, putBackup, putIdentity, putSegments } from "./support/sample-archive.ts";

interface Lab extends AsyncDisposable {
  path(name: string): string;
  /** Backups of the days 3 and 8, and the segments 1 to 12. */
  filled(name: string): Promise<Repository>;
  empty(name: string): Promise<Repository>;
}

async function lab(): Promise<Lab> {
  const folder = await mkdtempDisposable(join(tmpdir(), "tidemark-heal-"));
  const empty = async (name: string) => emptyRepository(join(folder.path, name), name);
  return {
    path: (name) => join(folder.path, name),
    empty,
    filled: async (name) => {
      const repository = await empty(name);
      await putIdentity(repository);
      await putSegments(repository, 1, 12);
      for (const day of [3, 8]) await putBackup(repository, day);
      return repository;
    },
    [Symbol.asyncDispose]: async () => folder.remove(),
  };
}

async function heal(repositories: readonly Repository[], more: Partial<HealOptions> = {}) {
  const options: HealOptions = { repositories, settledMs: 0, clock: systemClock, log: silentLog, ...more };
  const result = await healRepositories(options, await planRepositories(options));
  const done = result.done.map(
    ({ step, outcome }) =>
      `${step.target.name} ${outcome}: ${step.kind === "wal" ? step.file.name : step.kind === "backup" ? step.id : "identity"}`,
  );
  return { ...result, done };
}

const all = { expires: () => false };

/** Every visible backup has its parts as its manifest says, and the WAL that makes it consistent. */
async function requireRestorable(repository: Repository): Promise<number> {
  const { backups, wal } = await readHealInventory(repository);
  let visible = 0;
  for (const { entry, manifest, objects } of backups.values()) {
    if (entry.kind !== "done") continue;
    visible++;
    if (typeof manifest !== "object") throw new Error(`backup ${entry.id} has no manifest`);
    for (const { name, storedBytes } of manifest.parts) expect(objects.get(name)).toBe(storedBytes);
    for (const name of [entry.info.beginWal, entry.info.endWal]) expect([...wal.keys()]).toContain(name);
  }
  return visible;
}

describe("what is copied", () => {
  test("an empty repository gets the backups, newest first, each behind its WAL, and the WAL from the oldest on", async () => {
    await using here = await lab();
    const [source, target] = [await here.filled("source"), await here.empty("target")];
    await source.store.put(keepKey(source.server, "20261103T000000" as never), [Buffer.from("full")]);

    const { done, failed, notes } = await heal([source, target], all);

    expect({ failed, notes }).toEqual({ failed: [], notes: [] });
    const order = done.map((line) =>
      line.replace("target copied: ", "").replace("0000000100000000000000", ""),
    );
    const numbers = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) =>
        (from + at).toString(16).toUpperCase().padStart(2, "0"),
      );
    const place = (what: string) => order.indexOf(what);
    expect(order.toSorted()).toEqual([...numbers(3, 12), "20261103T000000", "20261108T000000"].toSorted());
    expect(Math.max(place("08"), place("09"))).toBeLessThan(place("20261108T000000"));
    expect(place("20261108T000000")).toBeLessThan(place("03"));
    expect(Math.max(place("03"), place("04"))).toBeLessThan(place("20261103T000000"));
    const wanted = Object.entries(await contentOf(source)).filter(([key]) => !/00000[12]\.zst$/.test(key));
    expect(await contentOf(target)).toEqual(Object.fromEntries(wanted));
    expect((await heal([source, target], all)).done).toEqual([]);
  });

  test("neither a backup that a repository's retention has removed, nor the WAL before those that it has", async () => {
    await using here = await lab();
    const [source, target] = [await here.filled("source"), await here.empty("target")];
    await putIdentity(target);
    await putBackup(target, 8);
    await putSegments(target, 8, 10);

    const { done, notes } = await heal([source, target]);

    expect(done.toSorted()).toEqual([
      "target copied: 00000001000000000000000B",
      "target copied: 00000001000000000000000C",
    ]);
    expect(notes).toEqual([
      {
        repository: "target",
        what: "backup 20261103T000000",
        reason: "it is older than what this repository keeps",
      },
    ]);
  });

  test("no WAL that its archiver may be about to store itself", async () => {
    await using here = await lab();
    const [source, target] = [await here.filled("source"), await here.empty("target")];

    const { done } = await heal([source, target], { settledMs: 60_000 });

    // Only what the backups need.
    expect(done.filter((line) => !line.includes("T")).length).toBe(4);
  });

  test("nothing into a repository of another system", async () => {
    await using here = await lab();
    const [source, other] = [await here.filled("source"), await here.empty("other")];
    const system = systemIdentifier(42n);
    await putIdentity(other, system);
    await putSegments(other, 1, 2, system);
    const before = await contentOf(other);

    await expect(heal([source, other], { ...all, mustAgree: true })).rejects.toMatchObject({
      code: "system-mismatch",
    });
    expect((await heal([source, other], all)).done).toEqual([]);
    expect(await contentOf(other)).toEqual(before);
  });

  test("what the others have, while one of them is dead", async () => {
    await using here = await lab();
    const [source, target, dead] = [
      await here.filled("source"),
      await here.empty("target"),
      await here.empty("dead"),
    ];
    await rm(here.path("dead"), { recursive: true });

    const { unread, failed } = await heal([dead, source, target], all);

    expect(unread.map(({ repository, error }) => [repository.name, error.code])).toEqual([
      ["dead", "store-missing"],
    ]);
    expect(failed).toEqual([]);
    expect(await requireRestorable(target)).toBe(2);
  });
});

describe("what is mended", () => {
  const flip = async (path: string) => {
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    await writeFile(path, bytes);
  };
  const part = "main/base/20261108T000000/data_0001.tar.zst";

  test("an object that turns out to be damaged while it is copied: a third repository has it, and the second gets it back", async () => {
    await using here = await lab();
    const [one, two, target] = [
      await here.filled("one"),
      await here.filled("two"),
      await here.empty("target"),
    ];
    const sound = await contentOf(two);
    await flip(here.path(`one/${part}`));
    await flip(here.path("one/main/wals/0000000100000000/000000010000000000000009.zst"));

    const { done, failed } = await heal([one, two, target], all);

    expect(failed).toEqual([]);
    expect(done).toContain("one mended: 20261108T000000");
    expect(done).toContain("one mended: 000000010000000000000009");
    expect(await contentOf(one)).toEqual(sound);
    expect(await requireRestorable(target)).toBe(2);
  });

  test("hidden damage only when every object is read; the damaged bytes are described in the log", async () => {
    await using here = await lab();
    const [one, two] = [await here.filled("one"), await here.filled("two")];
    const sound = await contentOf(two);
    await flip(here.path(`one/${part}`));
    const lines: [string, unknown][] = [];
    const log = createLog((_level, message, fields) => void lines.push([message, fields]));

    expect((await heal([{ ...one, log }, two])).done).toEqual([]);
    expect((await heal([{ ...one, log }, two], { checkData: true })).done).toEqual([
      "one mended: 20261108T000000",
    ]);

    expect(await contentOf(one)).toEqual(sound);
    expect(lines).toEqual([
      [
        "replacing a damaged object with a good copy",
        expect.objectContaining({ key: part, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string }),
      ],
    ]);
  });

  test("a backup of which the other repository has another form, by that form as a whole", async () => {
    await using here = await lab();
    const [one, two] = [await here.filled("one"), await here.empty("two")];
    await putIdentity(two);
    await putSegments(two, 3, 12);
    for (const day of [3, 8]) await putBackup(two, day, { codec: "gzip" });
    await rm(here.path(`one/${part}`));

    const { done, failed } = await heal([one, two]);

    expect({ done, failed }).toEqual({ done: ["one mended: 20261108T000000"], failed: [] });
    const base = async (repository: Repository) =>
      Object.entries(await contentOf(repository)).filter(([key]) => key.startsWith("base/20261108"));
    expect(await base(one)).toEqual(await base(two));
  });

  test("nothing that no other repository has a good copy of, and it says so", async () => {
    await using here = await lab();
    const [one, two] = [await here.filled("one"), await here.filled("two")];
    for (const name of ["one", "two"]) await flip(here.path(`${name}/${part}`));

    const { done, notes } = await heal([one, two], { checkData: true });

    expect(done).toEqual([]);
    expect(notes.map(({ repository, what }) => `${repository}: ${what}`)).toEqual([
      "one: backup 20261108T000000",
      "two: backup 20261108T000000",
    ]);
  });
});

describe("a copy that is interrupted", () => {
  /** The mark of a backup that is visible does no harm. */
  const keysOf = async (repository: Repository) =>
    Object.keys(await contentOf(repository)).filter((key) => !key.endsWith("x-tidemark/running.json"));

  test.each(["unavailable", "lost-answer"] as const)(
    "by any one call of the target that fails (%s) shows no backup that is not whole, and the next one does the rest",
    async (kind) => {
      await using here = await lab();
      const source = await here.filled("source");
      const sound = Object.keys(await contentOf(source)).filter((key) => !/00000[12]\.zst$/.test(key));
      for (let call = 1; ; call++) {
        const target = await here.empty(`target-${call}`);
        const store = faultyStore(target.store, { kind, failAtCall: call });
        // One at a time, so that the calls come in the same order; WAL is several.
        await heal([source, { ...target, store }], all).catch(() => undefined);
        await requireRestorable(target);
        if (store.faults === 0) break;

        const { failed } = await heal([source, target], all);

        expect([call, failed]).toEqual([call, []]);
        expect(await keysOf(target)).toEqual(sound);
        await rm(here.path(`target-${call}`), { recursive: true });
        // The first ones are all of different kinds.
        if (call > 6) call += 7;
      }
    },
  );

  test("by a kill at any step shows no backup that is not whole, and the next one does the rest", async () => {
    await using here = await lab();
    const source = await here.filled("source");
    const sound = Object.keys(await contentOf(source)).filter((key) => !/00000[12]\.zst$/.test(key));
    const child = fileURLToPath(new URL("support/heal-child.ts", import.meta.url));

    const killedAt = async (point: string) => {
      const target = await here.empty(point);
      const run = spawn(process.execPath, [child, here.path("source"), here.path(point)], {
        env: { ...process.env, TIDEMARK_FAULT_POINT: `heal:${point}` },
        stdio: ["ignore", "inherit", "inherit"],
      });
      const [, signal] = (await once(run, "exit")) as [number | null, string | null];
      await requireRestorable(target);
      const { failed } = await heal([source, target], all);
      return { point, signal, failed, isWhole: (await keysOf(target)).join() === sound.join() };
    };

    const points = ["wal-copied", "part-copied", "parts-copied", "manifest-copied", "info-copied"];
    const outcomes = await Promise.all(points.map(killedAt));
    expect(outcomes).toEqual(
      points.map((point) => ({ point, signal: "SIGKILL", failed: [], isWhole: true })),
    );
  });
});
