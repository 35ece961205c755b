import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchWalFile } from "../src/archive/wal-file.ts";
import { describeError, EngineError } from "../src/common/errors.ts";
import { silentLog } from "../src/common/log.ts";
import { adoptServer } from "../src/postgres/server.ts";
import { planRestore } from "../src/restore/plan-restore.ts";
import { summarizePlan } from "../src/restore/plan-summary.ts";
import { runRestore } from "../src/restore/run-restore.ts";
import { readStored, untilDrained } from "./support/archive-audit.ts";
import { contentsAt } from "./support/restored.ts";
import { makeTables, readContents, writeSegments, type Contents } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";

/*
 * A refused restore beats a wrong one. Every kind of stored object is damaged in every way: what reads it either says
 * which object it is, or gives every row. The tables say which.
 */

let system: System;
let contents: Contents;
/** The backup that a restore takes, and an older one. */
let newer: string;
let older: string;
let scratch = 0;

beforeAll(async () => {
  system = await startSystem();
  const { server } = system;
  const { dataDirectory } = server;
  await using _agent = await system.agent();
  await makeTables(server.sql);
  const create = async (): Promise<string> => {
    const options = ["-D", dataDirectory, "--max-part-size", "8MiB"];
    return (await system.json<{ id: string }>(["base", "create", ...options])).id;
  };
  older = await create();
  await writeSegments(server.sql, 1, 1);
  newer = await create();
  await writeSegments(server.sql, 4, 10);
  for (const firstId of [20, 30]) {
    // Recovers what it has, and goes on in a new timeline.
    await server.server.stop("fast");
    await writeFile(join(dataDirectory, "recovery.signal"), "");
    await server.restart({ settings: { restore_command: "false" } });
    await server.server.waitUntilPromoted();
    await writeSegments(server.sql, 2, firstId);
  }
  const found = await readContents(server.sql);
  if (found === undefined) throw new Error("no tables");
  contents = found;
  await untilDrained(dataDirectory);
});
afterAll(async () => system[Symbol.asyncDispose]());

/** A stored object by its key below the server's name. */
const pathOf = (key: string) => join(system.repositoryDirectory, "main", key);

/** Ways to damage an object; `like` is another one of its kind. */
const damages: Readonly<Record<string, (bytes: Buffer, like: Buffer | undefined) => Buffer | undefined>> = {
  "first byte": (bytes) => flipped(bytes, 0),
  "middle byte": (bytes) => flipped(bytes, bytes.length >> 1),
  "last byte": (bytes) => flipped(bytes, bytes.length - 1),
  "cut to nothing": () => Buffer.alloc(0),
  "cut in half": (bytes) => bytes.subarray(0, bytes.length >> 1),
  "cut by a byte": (bytes) => bytes.subarray(0, -1),
  "another's content": (_, like) => like,
};

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x04, at);
  return copy;
}

/** Runs with an object's content replaced, and puts it back. */
async function damaged<T>(key: string, content: Buffer, run: () => Promise<T>): Promise<T> {
  const good = await readFile(pathOf(key));
  await writeFile(pathOf(key), content);
  try {
    return await run();
  } finally {
    await writeFile(pathOf(key), good);
  }
}

/** What each damage of an object leads to. */
async function outcomes(
  key: string,
  like: string | undefined,
  judge: () => Promise<string>,
): Promise<Record<string, string>> {
  const good = await readFile(pathOf(key));
  const other = like === undefined ? undefined : await readFile(pathOf(like));
  const found: Record<string, string> = {};
  for (const [name, damage] of Object.entries(damages)) {
    const content = damage(good, other);
    if (content !== undefined) found[name] = await damaged(key, content, judge);
  }
  return found;
}

/** The code of an error that names the object; anything else says what is wrong with it. */
function named(error: unknown, name: string): string {
  if (!(error instanceof EngineError)) return `no error of ours: ${describeError(error)}`;
  const text = `${describeError(error)} ${error.hint ?? ""}`;
  return text.includes(name) ? error.code : `${error.code} without "${name}": ${text}`;
}

/** Fetches a WAL file and compares it with what it was. */
async function fetched(name: string, sound: Buffer): Promise<string> {
  const folder = system.path(`fetch-${++scratch}`);
  await mkdir(folder, { recursive: true });
  const destination = join(folder, "RECOVERYXLOG");
  try {
    const { kind } = await fetchWalFile({
      name,
      destination,
      repositories: [system.repository],
      walSegmentSizeBytes: 1024 * 1024,
      expectedSystemIdentifier: system.systemIdentifier,
    });
    if (kind === "absent") return "said to be absent";
    return (await readFile(destination)).equals(sound) ? "delivered" : "other bytes delivered";
  } catch (error) {
    const left = await readdir(folder);
    return left.length === 0 ? named(error, name) : `left ${left.join(", ")}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function planned(backup: string) {
  const plan = await planRestore({
    repositories: [system.repository],
    request: { target: { kind: "latest" }, timeline: "latest", backup },
  });
  if (plan.kind === "reachable") return plan;
  throw new EngineError("target-unreachable", plan.reason, { hint: plan.hint });
}

let goodPlan: string | undefined;

/** Plans and unpacks; a plan that differs from that of the sound repository is gone through with, to the last row. */
async function restored(name: string, backup: string): Promise<string> {
  const dataDirectory = system.path(`unpacked-${++scratch}`);
  const summary = async () => JSON.stringify(summarizePlan(await planned(backup), []));
  try {
    const plan = await planned(backup);
    await runRestore({
      plan,
      dataDirectory,
      tablespaceMap: new Map(),
      recovery: { restoreCommand: "false" },
      log: silentLog,
    });
    const isWhole = (await stat(join(dataDirectory, "global/pg_control"))).isFile();
    if (!isWhole) return "no pg_control";
    if ((await summary()) === goodPlan) return "restored";
  } catch (error) {
    const started = await stat(join(dataDirectory, "global/pg_control")).catch(() => undefined);
    return started === undefined ? named(error, name) : "STARTABLE AFTER AN ERROR";
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
  return JSON.stringify(await contentsAt(system, ["--backup", backup])) === JSON.stringify(contents)
    ? "restored"
    : "OTHER ROWS";
}

async function keysBelow(folder: string): Promise<string[]> {
  const entries = await readdir(pathOf(folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(pathOf("").length))
    .sort();
}

const everyDamage = (outcome: string) =>
  Object.fromEntries(Object.keys(damages).map((name) => [name, outcome]));

describe("a damaged WAL object never reaches PostgreSQL", () => {
  const fetchOutcomes = async (key: string, like: string) => {
    const name = basename(key, ".zst");
    const sound = await readStored(system.repository, name);
    if (sound === undefined) throw new Error(`"${key}" is not there`);
    expect(await fetched(name, sound)).toBe("delivered");
    return outcomes(key, like, async () => fetched(name, sound));
  };

  test("a segment, wherever it is needed", async () => {
    const segments = (await keysBelow("wals")).filter((key) => /\/[0-9A-F]{24}\.zst$/.test(key));
    for (const at of [1, segments.length >> 1, segments.length - 1]) {
      const found = await fetchOutcomes(segments[at] ?? "", segments[at - 1] ?? "");

      expect(found).toEqual(everyDamage("object-corrupt"));
    }
  });

  test("a timeline history", async () => {
    const second = "wals/00000002.history.zst";
    const third = "wals/00000003.history.zst";

    expect(await fetchOutcomes(second, third)).toEqual(everyDamage("object-corrupt"));
    expect(await fetchOutcomes(third, second)).toEqual({
      ...everyDamage("object-corrupt"),
      // It is a history, of a timeline that might be the third: only the plan can tell (below).
      "another's content": "other bytes delivered",
    });
  });

  test("a backup label", async () => {
    const [older = "", newer = ""] = (await keysBelow("wals")).filter((key) => key.includes(".backup"));

    expect(await fetchOutcomes(newer, older)).toEqual(everyDamage("object-corrupt"));
  });
});

describe("a damaged object of a backup is found before a server could start on it", () => {
  beforeAll(async () => {
    goodPlan = JSON.stringify(summarizePlan(await planned(newer), []));
  });

  test("an archive part, by its size or its digest in the manifest", async () => {
    const parts = (await keysBelow(`base/${newer}`)).filter((key) => key.includes(".tar"));
    expect(parts.length).toBeGreaterThanOrEqual(2);
    for (const [key, like] of [[parts[0], parts.at(-1)] as const, [parts.at(-1), parts[0]] as const]) {
      const found = await outcomes(key ?? "", like, async () => restored(basename(key ?? ""), newer));

      expect(found).toEqual({
        "first byte": "object-corrupt",
        "middle byte": "object-corrupt",
        "last byte": "object-corrupt",
        "cut to nothing": "target-unreachable",
        "cut in half": "target-unreachable",
        "cut by a byte": "target-unreachable",
        "another's content": "target-unreachable",
      });
    }
  });

  test("the manifest, which is read whole before anything else", async () => {
    const key = `base/${newer}/x-tidemark/manifest.json`;

    const found = await outcomes(key, key.replace(newer, older), async () => restored(newer, newer));

    expect(found).toEqual({
      ...everyDamage("object-corrupt"),
      // The line end behind the JSON.
      "cut by a byte": "restored",
      // Its parts are not this backup's.
      "another's content": "target-unreachable",
    });
  });

  test("backup.info, by its form, and by the control file and label in the archive", async () => {
    const key = `base/${newer}/backup.info`;

    const found = await outcomes(key, key.replace(newer, older), async () => restored(newer, newer));

    expect(found).toEqual({
      // The first and the middle one lie in texts that nothing depends on.
      "first byte": "restored",
      "middle byte": "restored",
      "last byte": "backup-absent",
      "cut to nothing": "backup-absent",
      "cut in half": "backup-absent",
      "cut by a byte": "restored",
      "another's content": "object-corrupt",
    });
  });

  test("backup.info, value by value: what decides anything is held against something else", async () => {
    const key = `base/${newer}/backup.info`;
    const good = await readFile(pathOf(key));
    const middles = new Map<string, number>();
    for (let at = 0; at < good.length;) {
      const [equals, end] = [good.indexOf("=", at), good.indexOf("\n", at)];
      middles.set(good.toString("utf8", at, equals), (equals + 1 + end) >> 1);
      at = end + 1;
    }
    const decisive = {
      begin_xlog: "object-corrupt",
      end_time: "backup-absent",
      status: "backup-absent",
      // Whether the flipped digit is another digit or none depends on the identifier, which is new with every cluster.
      systemid: expect.stringMatching(/^(wal-refused .* it was written by system|backup-absent$)/) as string,
      tablespaces: "backup-absent",
      timeline: "target-unreachable",
      xlog_segment_size: "backup-absent",
    };

    const found: Record<string, string> = {};
    let rest: Buffer = good;
    for (const [name, middle] of middles) {
      if (!(name in decisive)) rest = flipped(rest, middle);
      else found[name] = await damaged(key, flipped(good, middle), async () => restored(newer, newer));
    }

    expect(found).toEqual(decisive);
    // Begin and end in WAL names, sizes, paths, version below the major, texts: all of them at once.
    expect(middles.size - Object.keys(decisive).length).toBeGreaterThan(15);
    expect(await damaged(key, rest, async () => restored(newer, newer))).toBe("restored");
  });
});

describe("the command line over a damaged repository", () => {
  /** How `restore --start` into a new directory ends. It must leave nothing that runs or could. */
  async function restoring(...args: string[]) {
    const dataDirectory = system.path(`restored-from-damage-${++scratch}`);
    const { code, stderr } = await system.run(["base", "restore", dataDirectory, "--start", ...args]);
    const server = await adoptServer({ dataDirectory });
    await server?.stop("immediate");
    expect(stderr).not.toMatch(/^\s+at /m);
    return { code, stderr, isRunning: server !== undefined };
  }

  test("names the part and stops", async () => {
    const part = (await keysBelow(`base/${newer}`)).find((key) => key.includes(".tar")) ?? "";
    const good = await readFile(pathOf(part));

    const outcome = await damaged(part, flipped(good, good.length >> 1), restoring);

    expect(outcome).toMatchObject({ code: 14, isRunning: false });
    expect(outcome.stderr).toContain(basename(part));
  });

  test("takes the older backup when backup.info of the newer one cannot be read, and gets every row", async () => {
    const half = (await readFile(pathOf(`base/${newer}/backup.info`))).subarray(0, 300);

    const rows = await damaged(`base/${newer}/backup.info`, half, async () => contentsAt(system, []));

    expect(rows).toEqual(contents);
  });

  test("stops recovery at a damaged segment, and does not promote what was there before it", async () => {
    const segments = (await keysBelow("wals")).filter((key) => /\/00000001[0-9A-F]{16}\.zst$/.test(key));
    // Of the four behind the backup, where replay is consistent long since.
    const key = segments.at(-2) ?? "";
    const good = await readFile(pathOf(key));

    const outcome = await damaged(key, flipped(good, good.length >> 1), restoring);

    expect(outcome).toMatchObject({ code: 52, isRunning: false });
    expect(outcome.stderr).toContain(basename(key, ".zst"));
  });

  test("refuses when a timeline has another's history", async () => {
    const other = await readFile(pathOf("wals/00000002.history.zst"));

    const outcome = await damaged("wals/00000003.history.zst", other, restoring);

    expect(outcome).toMatchObject({ code: 50, isRunning: false });
  });

  test("wal fetch says 150 and which object it is, and leaves no file", async () => {
    const [key = ""] = (await keysBelow("wals")).filter((name) => /\/[0-9A-F]{24}\.zst$/.test(name));
    const destination = system.path("RECOVERYXLOG");
    const name = basename(key, ".zst");

    const { code, stderr } = await damaged(key, Buffer.alloc(0), async () =>
      system.run(["wal", "fetch", name, destination]),
    );

    expect(code).toBe(150);
    expect(stderr).toContain(name);
    await expect(stat(destination)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("restores every row without the identity and the labels, which nothing depends on", async () => {
    const labels = (await keysBelow("wals")).filter((key) => key.includes(".backup"));
    const keys = ["x-tidemark/repository.json", ...labels];
    const good = new Map<string, Buffer>();
    for (const key of keys) {
      good.set(key, await readFile(pathOf(key)));
      await writeFile(pathOf(key), "nonsense");
    }

    expect(await contentsAt(system, [])).toEqual(contents);

    for (const [key, bytes] of good) await writeFile(pathOf(key), bytes);
  });
});
