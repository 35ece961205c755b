import { mkdtempDisposable, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../src/common/clock.ts";
import { silentLog } from "../src/common/log.ts";
import { healRepositories, planRepositories, type HealOptions } from "../src/heal/run-heal.ts";
import type { OperatorKey } from "../src/repository/encryption/operator-key.ts";
import { parseBackupId } from "../src/repository/backup-id.ts";
import { RepositoryKeys } from "../src/repository/encryption/repository-keys.ts";
import { generateRepositoryKey } from "../src/repository/encryption/repository-key.ts";
import { withEncryption } from "../src/repository/encryption/with-encryption.ts";
import { readCatalogue } from "../src/repository/catalogue.ts";
import { gatherFacts } from "../src/repository/gathered-facts.ts";
import { keepKey } from "../src/repository/keys.ts";
import type { Repository } from "../src/repository/repository.ts";
import { readRunningMark, runningMarkKey } from "../src/repository/running-mark.ts";
import { contentOf, emptyRepository, putBackup, putIdentity, putSegments } from "./support/sample-archive.ts";

/** A plain repository and an encrypted one with the same content: backups of the days 3 and 8, segments 1 to 12. */
async function twins() {
  const folder = await mkdtempDisposable(join(tmpdir(), "tidemark-heal-"));
  const root = join(folder.path, "sealed");
  const identity = generateRepositoryKey().identity;
  const operator: OperatorKey = { kind: "identities", identities: [identity], path: "/operator.txt" };
  const bare = await emptyRepository(root, "sealed");
  /** As a process finds it that has just been started. */
  const sealed = (): Repository => {
    const keys = new RepositoryKeys(bare, async () => operator);
    return { ...bare, store: withEncryption(bare.store, { keys, root: "main/" }) };
  };
  const plain = await emptyRepository(join(folder.path, "plain"), "plain");
  const writer = sealed();
  for (const repository of [plain, writer]) {
    await putIdentity(repository);
    await putSegments(repository, 1, 12);
    for (const day of [3, 8]) await putBackup(repository, day);
  }
  return {
    plain,
    sealed,
    writer,
    path: (key: string) => join(root, "main", key),
    [Symbol.asyncDispose]: async () => folder.remove(),
  };
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20);
  await writeFile(path, bytes);
}

async function heal(repositories: readonly Repository[], more: Partial<HealOptions> = {}) {
  const options: HealOptions = { repositories, settledMs: 0, clock: systemClock, log: silentLog, ...more };
  return healRepositories(options, await planRepositories(options));
}

test("a damaged backup.info, keep mark or running mark of an encrypted repository hides no other backup", async () => {
  await using here = await twins();
  const { writer, sealed, path } = here;
  const [id, other] = [parseBackupId("20261103T000000"), parseBackupId("20261108T000000")];
  await writer.store.put(keepKey(writer.server, other), [Buffer.from("standalone")]);
  await writer.store.put(runningMarkKey(writer.server, other), [Buffer.from("{}")]);
  for (const key of [
    `base/${id}/backup.info.age`,
    `base/${other}/annotations/keep.age`,
    `base/${other}/x-tidemark/running.json.age`,
  ]) {
    await flip(path(key));
  }

  const catalogue = await readCatalogue(sealed());

  expect(catalogue).toMatchObject([
    { id, kind: "unreadable", error: expect.stringContaining("chunk 0 is not the one that was written") },
    { id: other, kind: "done", keep: "full" },
  ]);
  expect(await readRunningMark(sealed(), other)).toBeUndefined();
});

test("every kind of object of an encrypted repository is mended from a plain one", async () => {
  await using here = await twins();
  const { plain, sealed, path } = here;
  const good = await contentOf(plain);

  for (const key of Object.keys(good)) {
    if (key.startsWith("wals/") && !key.endsWith("08.zst")) continue;
    await flip(path(`${key}.age`));

    const { done, failed, unread } = await heal([plain, sealed()], { checkData: true });

    expect({ key, done: done.length, failed, unread }).toEqual({ key, done: 1, failed: [], unread: [] });
    expect(await contentOf(sealed())).toEqual(good);
  }
});

test.for(["gone", "damaged", "cut"])(
  "an encrypted repository whose keys are %s is left out, said, and the plain one is used",
  async (what) => {
    await using here = await twins();
    const { plain, sealed, path } = here;
    const keys = path("x-tidemark/keys/identities");
    const bytes = await readFile(keys);
    if (what === "gone") await rm(keys);
    else if (what === "cut") await writeFile(keys, bytes.subarray(0, 100));
    else {
      const text = bytes.toString("latin1");
      const damaged = text.replace(/(?<=X25519 .*\n.)./, (letter) => (letter === "x" ? "y" : "x"));
      await writeFile(keys, damaged, "latin1");
    }
    const before = await readdir(path("."), { recursive: true });

    const facts = await gatherFacts([sealed(), plain]);
    const healed = await heal([sealed(), plain]);

    expect(facts.facts.backups.map(({ id }) => id)).toEqual(["20261103T000000", "20261108T000000"]);
    expect(facts.notes).toEqual([expect.stringContaining('repository "sealed" could not be read: ')]);
    expect(healed.unread.map(({ repository }) => repository.name)).toEqual(["sealed"]);
    expect(healed.done).toEqual([]);
    expect(await readdir(path("."), { recursive: true })).toEqual(before);
    await expect(gatherFacts([sealed()])).rejects.toMatchObject({
      code: what === "cut" ? "object-corrupt" : "encryption-key",
    });
  },
);
