import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createLog } from "../common/log.ts";
import { formatBackupInfo } from "../repository/backup-info-text.ts";
import { backupInfoKey } from "../repository/keys.ts";
import { parseServerName } from "../repository/server-name.ts";
import type { Repository } from "../repository/repository.ts";
import { backupEntry, walObjectNamed } from "../repository/testing/plan-facts.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { deleteBackup } from "./delete-backup.ts";
import { findDeletionTarget } from "./deletion-target.ts";
import { runningMarkKey, writeRunningMark } from "../repository/running-mark.ts";

const server = parseServerName("srv");
const warnings: string[] = [];
const log = createLog((level, message) => {
  if (level === "warn") warnings.push(message);
});

async function put(
  { store }: Repository,
  day: number,
  backupName?: string,
): Promise<ReturnType<typeof backupEntry>> {
  const entry = backupEntry({
    id: `2026110${day}T000000`,
    begin: `0/${day * 2}000028`,
    end: `0/${day * 2}000138`,
    endTime: `2026-11-0${day}T00:00:00Z`,
  });
  await store.put(backupInfoKey(server, entry.id), [
    Buffer.from(formatBackupInfo({ ...entry.info, backupName })),
  ]);
  return entry;
}

async function twoRepositories() {
  const folder = await mkdtempDisposable(join(tmpdir(), "deletion-"));
  const open = async (name: string): Promise<Repository> => ({
    name,
    server,
    store: await openFileStore({ root: join(folder.path, name), createRoot: true }),
    log,
  });
  return {
    one: await open("one"),
    two: await open("two"),
    [Symbol.asyncDispose]: async () => folder.remove(),
  };
}

it("is one backup for all repositories: latest is refused where it means another one in each", async () => {
  await using held = await twoRepositories();
  const { one, two } = held;
  for (const repository of [one, two]) await put(repository, 1, "weekly");
  await put(two, 2, "nightly");

  await expect(findDeletionTarget([one, two], "latest")).rejects.toMatchObject({
    code: "usage",
    message: expect.stringMatching(/"20261101T000000" in .*one.*"20261102T000000" in .*two/) as string,
  });
  expect(await findDeletionTarget([one, two], "weekly")).toMatchObject({
    id: "20261101T000000",
    repositories: [{ name: "one" }, { name: "two" }],
  });
  expect(warnings).toEqual([]);
  expect(await findDeletionTarget([one, two], "nightly")).toMatchObject({ repositories: [{ name: "two" }] });
  expect(warnings).toEqual(["this repository does not hold the backup"]);
  await expect(findDeletionTarget([one, two], "nothing")).rejects.toMatchObject({ code: "backup-absent" });
});

it("refuses a name that two backups have, naming both", async () => {
  await using held = await twoRepositories();
  const { one } = held;
  await put(one, 1, "nightly");
  await put(one, 2, "nightly");
  const ambiguous = {
    code: "usage",
    message: expect.stringMatching(/"20261101T000000".*"20261102T000000"/) as string,
  };

  await expect(findDeletionTarget([one], "nightly")).rejects.toMatchObject(ambiguous);
  await expect(deleteBackup({ repository: one, backup: "nightly", now: new Date() })).rejects.toMatchObject(
    ambiguous,
  );
});

it("spares the WAL of a backup that finishes while the deletion looks around", async () => {
  await using held = await twoRepositories();
  const { one } = held;
  const first = await put(one, 1);
  await put(one, 4);
  const running = backupEntry({ id: "20261103T000000", begin: "0/3000028", end: "0/3000138" });
  const mark = { systemIdentifier: "1", host: "h", dataDirectory: "/d", beginWal: running.info.beginWal };
  await writeRunningMark(one, running.id, mark, {});
  const wal = walObjectNamed(running.info.beginWal).key.replace(/[0-9A-F]{24}/, (name) =>
    [name.slice(0, 16), name].join("/"),
  );
  await one.store.put(wal, [Buffer.from("x")]);
  let listings = 0;
  const list: ObjectStore["list"] = (prefix, options) => {
    // It finishes between the two looks at the folders, whichever comes first.
    async function* finishing() {
      if (options?.delimiter === "/" && ++listings === 2) {
        await one.store.put(backupInfoKey(server, running.id), [Buffer.from(formatBackupInfo(running.info))]);
        await one.store.delete([runningMarkKey(server, running.id)]);
      }
      yield* one.store.list(prefix, options);
    }
    return finishing();
  };
  const store = new Proxy(one.store, {
    get: (target, name) => {
      if (name === "list") return list;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

  const plan = await deleteBackup({ repository: { ...one, store }, backup: first.id, now: new Date() });

  expect(listings).toBe(2);
  expect(plan.wal).toMatchObject({ kind: "prune", objects: [] });
  expect(await one.store.head(wal)).toBeDefined();
});
