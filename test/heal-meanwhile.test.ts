import { access, mkdtempDisposable, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../src/common/clock.ts";
import { silentLog } from "../src/common/log.ts";
import { healRepositories, planRepositories, type HealOptions } from "../src/heal/run-heal.ts";
import { ClaimNote } from "../src/repository/claim-note.ts";
import type { Repository } from "../src/repository/repository.ts";
import { fileStoreError } from "../src/storage/file/file-errors.ts";
import { interceptStore, type StoreCall } from "../src/storage/wrappers/intercept.ts";
import { contentOf, emptyRepository, putBackup, putIdentity, putSegments } from "./support/sample-archive.ts";

/*
 * Heal while something else happens to a repository: a disk that fails at one place, a deletion, a mount that is not there, no space.
 */

async function lab() {
  const folder = await mkdtempDisposable(join(tmpdir(), "tidemark-heal-"));
  const empty = async (name: string) => emptyRepository(join(folder.path, name), name);
  return {
    path: (name: string) => join(folder.path, name),
    empty,
    filled: async (name: string) => {
      const repository = await empty(name);
      await putIdentity(repository);
      await putSegments(repository, 3, 5);
      await putBackup(repository, 3);
      return repository;
    },
    [Symbol.asyncDispose]: async () => folder.remove(),
  };
}

async function heal(repositories: readonly Repository[], more: Partial<HealOptions> = {}) {
  const options: HealOptions = { repositories, settledMs: 0, clock: systemClock, log: silentLog, ...more };
  return healRepositories(options, await planRepositories(options));
}

/** The repository with `happening` taking place before each call of its store. */
function before(repository: Repository, happening: (call: StoreCall) => Promise<void> | void): Repository {
  const store = interceptStore(repository.store, {
    call: async (call, options, run) => {
      await happening(call);
      return run(options);
    },
  });
  return { ...repository, store };
}

const folder = "main/base/20261103T000000";
const part = `${folder}/data_0001.tar.zst`;
const segment = "main/wals/0000000100000000/000000010000000000000005.zst";

test("what the disk cannot read any more is found like other damage, and written anew from a good copy", async () => {
  await using here = await lab();
  const [one, two] = [await here.filled("one"), await here.filled("two")];
  const unreadable = new Set([part, segment]);
  const failing = before(one, ({ operation, key }) => {
    if (operation === "put" || operation === "completeUpload") unreadable.delete(key);
    if (operation !== "get" || !unreadable.has(key)) return;
    throw fileStoreError(`read "${key}"`, "/srv", Object.assign(new Error("EIO"), { code: "EIO" }));
  });

  const { done, failed } = await heal([failing, two], { checkData: true });

  expect(failed).toEqual([]);
  expect(done.map(({ step, outcome }) => `${step.target.name} ${step.kind} ${outcome}`).toSorted()).toEqual([
    "one backup mended",
    "one wal mended",
  ]);
  expect([...unreadable]).toEqual([]);
});

test.each([part, `${folder}/data.tar.zst`])(
  "a backup of which %s is deleted while it is copied does not become visible",
  async (lost) => {
    await using here = await lab();
    const [source, target] = [await here.filled("source"), await here.empty("target")];
    const deleting = before(target, async ({ operation, key }) => {
      if (operation === "put" && key.endsWith("manifest.json")) await target.store.delete([lost]);
    });

    const { failed } = await heal([source, deleting]);

    expect(failed.map(({ error }) => error.message)).toEqual([
      `"${lost.slice(folder.length + 1)}" of backup "20261103T000000" has gone from repository "target" meanwhile`,
    ]);
    expect(Object.keys(await contentOf(target))).not.toContain("base/20261103T000000/backup.info");
    expect((await heal([source, target])).failed).toEqual([]);
    expect(Object.keys(await contentOf(target))).toContain("base/20261103T000000/backup.info");
  },
);

test("a backup that is deleted while its backup.info is mended stays deleted", async () => {
  await using here = await lab();
  const [one, two] = [await here.filled("one"), await here.filled("two")];
  await one.store.put(`${folder}/backup.info`, [Buffer.from("no such thing")]);
  const options: HealOptions = {
    repositories: [one, two],
    settledMs: 0,
    clock: systemClock,
    log: silentLog,
    expires: () => true,
  };
  const planned = await planRepositories(options);
  await rm(here.path(`one/${folder}`), { recursive: true });

  const { failed } = await healRepositories(options, planned);

  expect(failed.map(({ error }) => error.message)).toEqual([
    'backup.info of backup "20261103T000000" has gone from repository "one" meanwhile',
  ]);
  await expect(access(here.path(`one/${folder}`))).rejects.toMatchObject({ code: "ENOENT" });
});

test("an empty directory that was begun before is a mount point, and is not filled", async () => {
  await using here = await lab();
  const [source, target] = [await here.filled("source"), await here.empty("target")];
  const claimNote = new ClaimNote(here.path("spool"), { url: here.path("target"), server: "main" });
  await claimNote.write({});

  const { done, unread } = await heal([source, { ...target, claimNote }]);

  expect(done).toEqual([]);
  expect(unread.map(({ repository, error }) => [repository.name, error.code])).toEqual([
    ["target", "store-missing"],
  ]);
  expect(await contentOf(target)).toEqual({});
});

test("a full disk is tried for the files that are under way, and not for all that follow", async () => {
  await using here = await lab();
  const [source, target] = [await here.filled("source"), await here.empty("target")];
  await putSegments(source, 6, 40);
  let writes = 0;
  const full = before(target, ({ operation, key }) => {
    if (operation !== "put" || !key.includes("/wals/")) return;
    writes++;
    throw fileStoreError(`write "${key}"`, "/srv", Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
  });

  const { failed } = await heal([source, full]);

  expect(failed.length).toBe(39);
  expect(new Set(failed.map(({ error }) => error.code))).toEqual(new Set(["disk-full", "object-missing"]));
  expect(writes).toBeLessThan(12);
});

test("what is there of a backup that does not fit is removed again, so that WAL has the space", async () => {
  await using here = await lab();
  const [source, target] = [await here.filled("source"), await here.empty("target")];
  const full = before(target, ({ operation, key }) => {
    if (operation !== "put" || !key.endsWith("data_0001.tar.zst")) return;
    throw fileStoreError(`write "${key}"`, "/srv", Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
  });

  const { failed } = await heal([source, full]);

  expect(failed.map(({ error }) => error.code)).toContain("disk-full");
  expect(Object.keys(await contentOf(target)).filter((key) => key.startsWith("base/"))).toEqual([]);
});
