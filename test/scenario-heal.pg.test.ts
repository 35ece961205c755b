import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchWalFile } from "../src/archive/wal-file.ts";
import { systemClock } from "../src/common/clock.ts";
import { createLog, silentLog } from "../src/common/log.ts";
import { healRepositories, planRepositories, type HealOptions } from "../src/heal/run-heal.ts";
import type { Repository } from "../src/repository/repository.ts";
import { planRestore } from "../src/restore/plan-restore.ts";
import { runRestore } from "../src/restore/run-restore.ts";
import { openFileStore } from "../src/storage/file/file-store.ts";
import { untilDrained } from "./support/archive-audit.ts";
import { makeTables, writeSegments } from "./support/rows.ts";
import { startSystem, type System } from "./support/system.ts";

/*
 * Two repositories of one server stand in for each other, object by object: whatever is damaged in one, a restore takes from the
 * other and says so, and heal puts it right, byte for byte.
 */

let system: System;
let second: Repository;
let secondDirectory: string;
let newer: string;
let older: string;
let sound: ReadonlyMap<string, Buffer>;
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
  await writeSegments(server.sql, 2, 10);
  for (const firstId of [20, 30]) {
    await server.server.stop("fast");
    await writeFile(join(dataDirectory, "recovery.signal"), "");
    await server.restart({ settings: { restore_command: "false" } });
    await server.server.waitUntilPromoted();
    await writeSegments(server.sql, 2, firstId);
  }
  await untilDrained(dataDirectory);
  secondDirectory = system.path("second");
  sound = await filesBelow(join(system.repositoryDirectory, "main"));
});
afterAll(async () => system[Symbol.asyncDispose]());

const pathOf = (key: string) => join(system.repositoryDirectory, "main", key);

async function filesBelow(directory: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = new Map<string, Buffer>();
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), await readFile(path));
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const digests = (files: ReadonlyMap<string, Buffer>) =>
  Object.fromEntries(
    [...files].map(([name, bytes]) => [name, createHash("md5").update(bytes).digest("hex")]),
  );

const healOptions = (more: Partial<HealOptions> = {}): HealOptions => ({
  repositories: [system.repository, second],
  settledMs: 0,
  clock: systemClock,
  log: silentLog,
  ...more,
});

async function heal(more: Partial<HealOptions> = {}) {
  const options = healOptions(more);
  return healRepositories(options, await planRepositories(options));
}

test("copy fills an empty place with everything, object by object, and then has nothing left to do", async () => {
  const copy = ["copy", system.repositoryDirectory, secondDirectory, "--server", "main"];
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await system.run([...copy, ...args]);
    return { code, stdout, stderr };
  };

  expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining("needs a confirmation") });
  const first = await run("--yes");
  expect(first).toMatchObject({ code: 0 });
  expect(first.stdout).toContain(`backup ${newer}`);
  expect(first.stdout).toMatch(/WAL [0-9A-F]{24}\S* to [0-9A-F]{24} \(\d+ files\) /);

  // What lies before all backups is of no use.
  const label = [...sound.keys()].find((key) => key.endsWith(".backup.zst")) ?? "";
  const useless = [...sound.keys()].filter(
    (key) => /\/[0-9A-F]{24}\.zst$/.test(key) && key < label.slice(0, -20),
  );
  expect(useless.length).toBeGreaterThan(0);
  const wanted = new Map([...sound].filter(([key]) => !useless.includes(key)));
  expect(digests(await filesBelow(join(secondDirectory, "main")))).toEqual(digests(wanted));
  expect(await run("--yes")).toMatchObject({ code: 0, stdout: "nothing is missing or damaged\n" });
  second = { ...system.repository, name: "second", store: await openFileStore({ root: secondDirectory }) };
});

type Damage = (bytes: Buffer, like: Buffer | undefined) => Buffer | "deleted" | undefined;

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x04, at);
  return copy;
};

const damages: Readonly<Record<string, Damage>> = {
  "first byte": (bytes) => flipped(bytes, 0),
  "middle byte": (bytes) => flipped(bytes, bytes.length >> 1),
  "cut in half": (bytes) => bytes.subarray(0, bytes.length >> 1),
  "another's content": (_, like) => like,
  deleted: () => "deleted",
};

/**
 * Damages one object of the first repository in each way, looks (restores take long: only after some), has it healed, and
 * compares every byte.
 */
async function eachDamage(
  key: string,
  like: string | undefined,
  look: () => Promise<string>,
  looked: readonly string[] = Object.keys(damages),
): Promise<Record<string, string>> {
  const good = sound.get(key);
  if (good === undefined) throw new Error(`no "${key}"`);
  const found: Record<string, string> = {};
  for (const [name, damage] of Object.entries(damages)) {
    const content = damage(good, like === undefined ? undefined : sound.get(like));
    if (content === undefined) continue;
    if (content === "deleted") await rm(pathOf(key));
    else await writeFile(pathOf(key), content);
    const seen = looked.includes(name) ? `${await look()}, ` : "";
    const { done, failed, notes } = await heal({ checkData: true });
    const now = await readFile(pathOf(key)).catch(() => undefined);
    const isHealed = now?.equals(good) === true;
    found[name] =
      `${seen}${isHealed ? "healed" : `NOT HEALED ${JSON.stringify({ done: done.length, failed: failed.map(({ error }) => error.message), notes })}`}`;
    await mkdir(dirname(pathOf(key)), { recursive: true });
    await writeFile(pathOf(key), good);
  }
  return found;
}

const outcomes = (names: readonly string[], outcome: string) =>
  Object.fromEntries(names.map((name) => [name, outcome]));
const everyDamage = (outcome: string) => outcomes(Object.keys(damages), outcome);

const keys = (pattern: RegExp) => [...sound.keys()].filter((key) => pattern.test(key));

/** Fetches a WAL file from both, the damaged one first. */
async function fetched(key: string): Promise<string> {
  const name = basename(key, ".zst");
  const folder = system.path(`fetch-${++scratch}`);
  await mkdir(folder);
  const destination = join(folder, "RECOVERYXLOG");
  const said: string[] = [];
  const log = createLog((level, message) => void said.push(`${level}: ${message}`));
  const common = {
    name,
    destination,
    walSegmentSizeBytes: 1024 * 1024,
    expectedSystemIdentifier: system.systemIdentifier,
  };
  await fetchWalFile({ ...common, repositories: [second] });
  const right = await readFile(destination);
  const { kind } = await fetchWalFile({ ...common, repositories: [{ ...system.repository, log }, second] });
  if (kind === "absent") return "absent";
  return (await readFile(destination)).equals(right)
    ? `delivered${said.length > 0 ? " and said" : ""}`
    : "OTHER BYTES";
}

describe("a WAL object that is bad in one repository is delivered from the other one, and healed", () => {
  test("a segment", async () => {
    const segments = keys(/\/[0-9A-F]{24}\.zst$/);
    const [before = "", key = ""] = segments.slice(-3);

    expect(await eachDamage(key, before, async () => fetched(key))).toEqual({
      ...everyDamage("delivered and said, healed"),
      deleted: "delivered, healed",
    });
  });

  test("a timeline history", async () => {
    const [like = "", key = ""] = keys(/\.history\.zst$/);

    expect(await eachDamage(key, like, async () => fetched(key))).toEqual({
      ...everyDamage("delivered, healed"),
    });
  });

  test("a backup label", async () => {
    const [like = "", key = ""] = keys(/\.backup\.zst$/);

    expect(await eachDamage(key, like, async () => fetched(key))).toEqual({
      ...everyDamage("delivered and said, healed"),
      deleted: "delivered, healed",
    });
  });
});

describe("a backup with a bad object in one repository is restored with the help of the other one, and healed", () => {
  let tree: Record<string, string> | undefined;

  async function restoredFrom(repositories: readonly Repository[], backup: string) {
    const dataDirectory = system.path(`unpacked-${++scratch}`);
    const plan = await planRestore({
      repositories,
      request: { target: { kind: "latest" }, timeline: "latest", backup },
    });
    if (plan.kind === "unreachable") throw new Error(plan.reason);
    const { replaced } = await runRestore({
      plan,
      dataDirectory,
      tablespaceMap: new Map(),
      recovery: { restoreCommand: "false" },
      log: silentLog,
    });
    const files = digests(await filesBelow(dataDirectory));
    await rm(dataDirectory, { recursive: true });
    return { files, says: [...plan.notes, ...replaced.map(({ key }) => key)].join("; ") };
  }

  const look = (name: string) => async (): Promise<string> => {
    tree ??= (await restoredFrom([second], newer)).files;
    const { files, says } = await restoredFrom([system.repository, second], newer);
    const isSame = JSON.stringify(files) === JSON.stringify(tree);
    return `${isSame ? "restored" : "OTHER FILES"}${says.includes(name) ? " and said" : ""}`;
  };

  test("an archive part", async () => {
    const parts = keys(new RegExp(`^base/${newer}/.*\\.tar`));
    const [key = "", like = ""] = [parts.at(-1), parts[0]];
    const looked = ["middle byte", "another's content", "deleted"];

    const found = await eachDamage(key, like, look(basename(key)), looked);

    expect(found).toEqual({ ...everyDamage("healed"), ...outcomes(looked, "restored and said, healed") });
  });

  test("the manifest", async () => {
    const key = `base/${newer}/x-tidemark/manifest.json`;
    const looked = ["middle byte", "deleted"];

    const found = await eachDamage(key, key.replace(newer, older), look(newer), looked);

    expect(found).toEqual({ ...everyDamage("healed"), ...outcomes(looked, "restored and said, healed") });
  });

  test("backup.info", async () => {
    const key = `base/${newer}/backup.info`;
    const looked = ["cut in half", "another's content"];

    const found = await eachDamage(key, key.replace(newer, older), look(newer), looked);

    expect(found).toEqual({ ...everyDamage("healed"), ...outcomes(looked, "restored and said, healed") });
  });

  test("the identity", async () => {
    const found = await eachDamage("x-tidemark/repository.json", undefined, async () => "", []);

    const { "another's content": _, ...each } = everyDamage("healed");
    expect(found).toEqual(each);
  });
});
