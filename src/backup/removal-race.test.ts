import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { silentLog } from "../common/log.ts";
import { formatBackupInfo } from "../repository/backup-info-text.ts";
import type { BackupManifest } from "../repository/backup-manifest.ts";
import { backupInfoKey, backupManifestKey, backupPrefix, removalKey } from "../repository/keys.ts";
import type { Repository } from "../repository/repository.ts";
import { parseServerName } from "../repository/server-name.ts";
import { backupEntry } from "../repository/testing/plan-facts.ts";
import { openFileStore } from "../storage/file/file-store.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { requireVisible } from "./commit.ts";
import { collectLeftovers, deleteIncompleteBackups } from "./incomplete.ts";
import { removeUnfinished } from "./remove-backup.ts";
import { runningMarkKey, writeRunningMark } from "../repository/running-mark.ts";

const server = parseServerName("srv");
const entry = backupEntry({ id: "20261103T000000", begin: "0/3000028", end: "0/3000138" });
const { id } = entry;
const own = backupEntry({ id: "20261104T000000", begin: "0/4000028", end: "0/4000138" }).id;
const signal = new AbortController().signal;
const mark = { systemIdentifier: "1", host: "h", dataDirectory: "/d", beginWal: undefined };
// The only thing that is looked at here.
const manifest = { parts: [{ name: "data.tar", storedBytes: 1 }] } as unknown as BackupManifest;

async function runningBackup() {
  const folder = await mkdtempDisposable(join(tmpdir(), "race-"));
  const store = await openFileStore({ root: folder.path });
  const repository: Repository = { name: "one", server, store, log: silentLog };
  await writeRunningMark(repository, id, mark, {});
  await store.put(`${backupPrefix(server, id)}data.tar`, [Buffer.from("x")]);
  await store.put(backupManifestKey(server, id), [Buffer.from("{}")]);
  return {
    repository,
    finish: async () => {
      await store.put(backupInfoKey(server, id), [Buffer.from(formatBackupInfo(entry.info))]);
    },
    [Symbol.asyncDispose]: async () => folder.remove(),
  };
}

/** The repository with `happening` taking place just before a call of the store. */
function before(
  repository: Repository,
  call: keyof ObjectStore,
  key: string,
  happening: () => Promise<void>,
) {
  const store = new Proxy(repository.store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const method = value.bind(target) as (...given: unknown[]) => unknown;
      if (name !== call) return method;
      return async (...given: unknown[]) => {
        if (given[0] === key) await happening();
        return method(...given);
      };
    },
  });
  return { ...repository, store };
}

it("spares a backup that finishes just before it is removed", async () => {
  await using running = await runningBackup();
  const { repository, finish } = running;
  const late = before(repository, "put", removalKey(server, id), finish);

  await collectLeftovers(late, own, { now: new Date(), lockHolder: mark }, signal);

  await expect(requireVisible(repository, id, manifest, signal)).resolves.toBeUndefined();
  expect(await repository.store.head(runningMarkKey(server, id))).toBeDefined();
});

it("says so when an operator's clean-up comes too late", async () => {
  await using running = await runningBackup();
  const { repository, finish } = running;
  const late = before(repository, "put", removalKey(server, id), finish);

  const results = await deleteIncompleteBackups(late, { now: new Date(), force: true });

  expect(results.map(({ outcome }) => outcome)).toEqual([
    { kind: "spared", reason: "it has finished meanwhile" },
  ]);
});

it("spares a backup whose mark says by now that it is not dead", async () => {
  await using running = await runningBackup();
  const { repository } = running;
  let looks = 0;
  const late = before(repository, "head", backupInfoKey(server, id), async () => {
    if (++looks === 2) await writeRunningMark(repository, id, { ...mark, host: "other" }, {});
  });

  await collectLeftovers(late, own, { now: new Date(), lockHolder: mark }, signal);

  expect(await repository.store.head(backupManifestKey(server, id))).toBeDefined();
});

it("makes a backup fail that becomes visible while it is removed", async () => {
  await using running = await runningBackup();
  const { repository, finish } = running;
  let outcome: unknown;
  // The remover has looked for backup.info in vain; then the backup finishes and looks at itself.
  const store = new Proxy(repository.store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== "head" || typeof value !== "function") {
        return typeof value === "function" ? value.bind(target) : value;
      }
      const head = value.bind(target) as ObjectStore["head"];
      return async (key: string) => {
        const found = await head(key);
        await finish();
        outcome = await requireVisible(repository, id, manifest, signal).catch((error: unknown) => error);
        return found;
      };
    },
  });

  const removed = await removeUnfinished({ ...repository, store }, id);

  expect(outcome).toMatchObject({
    code: "backup-failed",
    message: expect.stringMatching(/being removed/) as string,
  });
  expect(removed).toMatchObject({ objects: 4 });
});
