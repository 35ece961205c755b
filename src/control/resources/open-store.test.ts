import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../common/clock.ts";
import { isEngineError } from "../../common/errors.ts";
import { silentLog } from "../../common/log.ts";
import { openDatabase } from "./open-database.ts";
import { openResourceStore } from "./sqlite-resource-store.ts";
import { draft } from "./testing/drafts.ts";
import { temporaryResources } from "./testing/temporary-resources.ts";

const damagedHint =
  "Put back a copy of the database, or move it away and apply the manifests again: the instances go on meanwhile.";

function errorOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("opening a store", () => {
  it("makes its folders, and is the only one to have it in this process", async () => {
    const { folder, open, path, keyFile } = await temporaryResources();
    await open();
    const below = join(folder, "a", "b");
    const options = { clock: systemClock, log: silentLog };
    using made = await openResourceStore({
      path: join(below, "x.db"),
      keyFile: join(folder, "k", "x"),
      ...options,
    });
    made.create(draft("Secret", "s"));

    await expect(openResourceStore({ path, keyFile, ...options })).rejects.toMatchObject({
      code: "locked",
      message: `could not open the database "${path}": database is locked`,
      hint: "Is a control plane running already? Stop it first, or give this one a folder of its own.",
    });
  });

  it("is refused while another process has it, and not any more when that was killed", async () => {
    const { open, path, keyFile } = await temporaryResources();
    const script = fileURLToPath(new URL("testing/holding-child.ts", import.meta.url));
    const child = spawn(process.execPath, [script, path, keyFile], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    await once(child.stdout, "data");

    await expect(open()).rejects.toMatchObject({ code: "locked" });
    // The lock is still there after it was asked for.
    await expect(open()).rejects.toMatchObject({ code: "locked" });
    child.kill("SIGKILL");
    await ended;

    expect((await open()).create(draft("Cluster", "pg")).metadata.resourceVersion).toBe("1");
  });

  it("syncs every commit, and keeps its lock between them", async () => {
    const { path } = await temporaryResources();
    using database = await openDatabase(path);

    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    // 2 is FULL.
    expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
    expect(database.prepare("PRAGMA locking_mode").get()).toEqual({ locking_mode: "exclusive" });
    expect(database.prepare("PRAGMA foreign_keys").get()).toEqual({ foreign_keys: 1 });
  });

  it("refuses what a newer Tidemark wrote", async () => {
    const { open, path } = await temporaryResources();
    (await open())[Symbol.dispose]();
    using database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 7");
    database.close();

    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the database "${path}" has format 7, but this Tidemark knows only format 1`,
      hint: "A newer Tidemark has written it: use that version, or one that is newer still.",
    });
  });

  it("refuses a database of another program, and leaves it as it is", async () => {
    const { open, path } = await temporaryResources();
    using database = new DatabaseSync(path);
    database.exec("CREATE TABLE mine (x)");
    database.close();

    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `the database "${path}" is not one of Tidemark's`,
    });
    using again = new DatabaseSync(path);
    expect(again.prepare("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "mine" }]);
  });

  it("says which file is no database, which is a folder, and which cannot be made", async () => {
    const { folder, open, path, keyFile } = await temporaryResources();
    await writeFile(path, "this is not a database, but some text that somebody put there\n".repeat(100));
    await expect(open()).rejects.toMatchObject({
      code: "config",
      message: `could not open the database "${path}": file is not a database`,
      hint: damagedHint,
    });
    await rm(path);
    await mkdir(path);
    await expect(open()).rejects.toMatchObject({ code: "file-io" });
    const inFile = join(folder, "file", "x.db");
    await writeFile(join(folder, "file"), "");
    await expect(
      openResourceStore({ path: inFile, keyFile, clock: systemClock, log: silentLog }),
    ).rejects.toMatchObject({ code: "file-io", message: expect.stringContaining(inFile) });
  });

  it("says that a page is damaged before anybody needs it", async () => {
    const { open, path } = await temporaryResources();
    const store = await open();
    const about = store.create(draft("Cluster", "pg"));
    store.recordEvent({ about, type: "Normal", reason: "Made", message: "it was made" });
    store[Symbol.dispose]();
    using database = new DatabaseSync(path);
    const schema = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'event_newest'").get();
    database.close();
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(100, 0xff), 0, 100, (Number(schema?.["rootpage"]) - 1) * 4096);
    closeSync(file);

    await expect(open()).rejects.toMatchObject({ code: "config", hint: damagedHint });
  });

  it("never fails in a way that nobody foresaw, wherever a byte of the database is another", async () => {
    const { open, path } = await temporaryResources();
    const store = await open();
    for (let number = 0; number < 20; number++)
      store.create(draft("Secret", `s-${number}`, { content: { number } }));
    const about = store.create(draft("Cluster", "pg", { content: { spec: { text: "x".repeat(5000) } } }));
    store.recordEvent({ about, type: "Normal", reason: "Made", message: "it was made" });
    store[Symbol.dispose]();
    const whole = await readFile(path);
    const flips = fc.array(
      fc.record({ at: fc.nat(whole.length - 1), bits: fc.integer({ min: 1, max: 255 }) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );

    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const damaged = Buffer.from(whole);
        for (const { at, bits } of changes) damaged[at]! ^= bits;
        await rm(`${path}-wal`, { force: true });
        await writeFile(path, damaged);
        const failure = await open().then(
          (opened) => {
            using store = opened;
            return errorOf(() => store.events());
          },
          (error: unknown) => error,
        );
        expect(
          failure === undefined || isEngineError(failure, "config") || isEngineError(failure, "file-io"),
        ).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
});
