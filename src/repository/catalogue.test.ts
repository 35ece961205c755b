import { expect, test } from "vitest";
import { silentLog } from "../common/log.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { readObject } from "../storage/object-body.ts";
import { formatBackupInfo } from "./backup-info-text.ts";
import { readCatalogue } from "./catalogue.ts";
import { fixedKeys } from "./encryption/testing/fixed-keys.ts";
import { withEncryption } from "./encryption/with-encryption.ts";
import { backupInfoKey, keepKey } from "./keys.ts";
import type { Repository } from "./repository.ts";
import { readRunningMark, runningMarkKey, writeRunningMark } from "./running-mark.ts";
import { parseServerName } from "./server-name.ts";
import { backupEntry } from "./testing/plan-facts.ts";

const server = parseServerName("main");

/** Two backups in an encrypted store, and what lies below it. */
async function encrypted() {
  const below = await temporaryStore();
  const store = withEncryption(below, { keys: fixedKeys(), root: "main/" });
  const repository: Repository = { name: "one", server, store, log: silentLog };
  const [older, newer] = ["20261103T000000", "20261108T000000"].map((id) =>
    backupEntry({ id, begin: "0/3000028", end: "0/3000138" }),
  );
  if (older === undefined || newer === undefined) throw new Error("two were made");
  for (const { id, info } of [older, newer])
    await store.put(backupInfoKey(server, id), [Buffer.from(formatBackupInfo(info))]);
  const damage = async (key: string) => {
    const bytes = (await readObject(below, `${key}.age`, 1_000_000)) ?? Buffer.alloc(1);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await below.put(`${key}.age`, [bytes]);
  };
  return { repository, older, newer, damage };
}

test("a damaged backup.info in an encrypted store hides no other backup", async () => {
  const { repository, older, newer, damage } = await encrypted();
  await damage(backupInfoKey(server, older.id));

  const catalogue = await readCatalogue(repository);

  expect(catalogue.map(({ id, kind }) => [id, kind])).toEqual([
    [older.id, "unreadable"],
    [newer.id, "done"],
  ]);
});

test("a damaged keep mark in an encrypted store is a keep mark all the same", async () => {
  const { repository, older, newer, damage } = await encrypted();
  await repository.store.put(keepKey(server, older.id), [Buffer.from("standalone")]);
  await damage(keepKey(server, older.id));

  const catalogue = await readCatalogue(repository);

  expect(catalogue.map(({ id, kind, keep }) => [id, kind, keep])).toEqual([
    [older.id, "done", "full"],
    [newer.id, "done", undefined],
  ]);
});

test("a damaged mark of a running backup is none", async () => {
  const { repository, older, damage } = await encrypted();
  const mark = { systemIdentifier: "1", host: "h", dataDirectory: "/d", beginWal: undefined };
  await writeRunningMark(repository, older.id, mark, {});
  await damage(runningMarkKey(server, older.id));

  await expect(readRunningMark(repository, older.id)).resolves.toBeUndefined();
});
