import { describe, expect, onTestFinished, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { collect, keysOf } from "../../storage/testing/conformance/tools.ts";
import { faultyStore } from "../../storage/testing/faulty-store.ts";
import { temporaryStore } from "../../storage/testing/temporary-store.ts";
import { interceptStore } from "../../storage/wrappers/intercept.ts";
import { ClaimNote } from "../claim-note.ts";
import { encryptionKeysKey } from "../keys.ts";
import type { Repository } from "../repository.ts";
import { parseServerName } from "../server-name.ts";
import { replaceKeys, requireKeys, withNewKey } from "./change-keys.ts";
import { generateRepositoryKey } from "./repository-key.ts";
import { lockOf } from "./lock-keys.ts";
import type { OperatorKey } from "./operator-key.ts";
import { requirePlain } from "./require-plain.ts";
import { RepositoryKeys } from "./repository-keys.ts";

const server = parseServerName("main");
const signal = new AbortController().signal;

function operator(): OperatorKey {
  return { kind: "identities", identities: [generateRepositoryKey().identity], path: "/operator.txt" };
}

function repositoryIn(store: ObjectStore): Repository {
  return { name: "repo1", server, store, log: silentLog };
}

function keysFor(store: ObjectStore, key: OperatorKey, clock = systemClock): RepositoryKeys {
  return new RepositoryKeys(repositoryIn(store), async () => key, clock);
}

describe("the keys of a repository", () => {
  test("are not there for whoever reads an empty one, and nothing is written for him", async () => {
    const store = await temporaryStore();

    expect(await keysFor(store, operator()).forReading(signal)).toBeUndefined();

    expect(await collect(store.list(""))).toEqual([]);
  });

  test("are made by the first writer, and are the same for all who come at the same time", async () => {
    const store = await temporaryStore();
    const key = operator();
    const writers = Array.from({ length: 8 }, () => keysFor(store, key));

    const rings = await Promise.all(writers.map(async (keys) => keys.forWriting(signal)));

    expect(new Set(rings.map(({ newest }) => newest.tag)).size).toBe(1);
    expect(keysOf(await collect(store.list("")))).toEqual([encryptionKeysKey(server)]);
    expect((await keysFor(store, key).forReading(signal))?.newest.tag).toBe(rings[0]?.newest.tag);
  });

  test("are what is there after a while, where a store lets the last of two writers win", async () => {
    const below = await temporaryStore();
    const store: ObjectStore = {
      ...interceptStore(below, {}),
      capabilities: { ...below.capabilities, conditionalCreate: false },
    };
    const key = operator();
    const waits: number[] = [];
    const rival = keysFor(await temporaryStore(), key);
    const clock = {
      ...systemClock,
      sleep: async (ms: number) => {
        waits.push(ms);
        const keys = {
          recipients: [],
          keys: (await rival.forWriting(signal)).keys.map((one) => ({ key: one, createdAt: undefined })),
        };
        await replaceKeys(repositoryIn(below), keys, await lockOf(key), signal);
      },
    };

    const ring = await keysFor(store, key, clock).forWriting(signal);

    expect(waits).toEqual([2000]);
    expect(ring.newest.tag).toBe((await rival.forReading(signal))?.newest.tag);
  });

  test("are not made for a repository that holds plain objects", async () => {
    const store = await temporaryStore();
    await store.put("main/x-tidemark/repository.json", [Buffer.from("{}")]);
    const keys = keysFor(store, operator());

    for (const call of [keys.forReading(signal), keys.forWriting(signal)]) {
      await expect(call).rejects.toMatchObject({
        code: "config",
        message: `repository "${store.url}/main" shall be encrypted, but holds objects that are not ("main/x-tidemark/repository.json")`,
        hint: "A repository is encrypted from its beginning. Give the encrypted one a place of its own, and copy what is here into it with tidemark copy.",
      });
    }
  });

  test("that are gone are not made anew over what was encrypted", async () => {
    const store = await temporaryStore();
    await store.put("main/x-tidemark/repository.json.age", [Buffer.from("…")]);

    await expect(keysFor(store, operator()).forWriting(signal)).rejects.toMatchObject({
      code: "encryption-key",
      message: expect.stringContaining("the object with its keys is gone"),
    });
  });

  test("are not made in the empty mount point of a repository that was begun", async () => {
    const store = await temporaryStore();
    const spool = await mkdtemp(join(tmpdir(), "tidemark-spool-"));
    onTestFinished(async () => rm(spool, { recursive: true, force: true }));
    const claimNote = new ClaimNote(spool, { url: store.url, server });
    await claimNote.write({ repository: "repo1" });
    const keys = new RepositoryKeys({ ...repositoryIn(store), claimNote }, async () => operator());

    await expect(keys.forWriting(signal)).rejects.toMatchObject({ code: "store-missing" });
    expect(await collect(store.list(""))).toEqual([]);
  });

  test("are asked for again after a store that was away, and after others have added one", async () => {
    const below = await temporaryStore();
    const key = operator();
    const first = await keysFor(below, key).forWriting(signal);
    const keys = keysFor(faultyStore(below, { operation: "get", failAtCall: 1 }), key);

    await expect(keys.forReading(signal)).rejects.toMatchObject({ code: "store-unavailable" });
    expect((await keys.forReading(signal))?.newest.tag).toBe(first.newest.tag);

    const stored = withNewKey(await requireKeys(repositoryIn(below), key, signal), new Date());
    await replaceKeys(repositoryIn(below), stored, await lockOf(key), signal);
    expect((await keys.forReading(signal))?.keys).toHaveLength(1);
    expect((await keys.again(signal))?.keys).toHaveLength(2);
    expect((await keys.forReading(signal))?.keys[0]?.tag).toBe(first.newest.tag);
  });

  test("that change under the hands of whoever changes them are reported", async () => {
    const below = await temporaryStore();
    const key = operator();
    await keysFor(below, key).forWriting(signal);
    const stored = await requireKeys(repositoryIn(below), key, signal);
    const lock = await lockOf(key);
    const overwritten = interceptStore(below, {
      call: async (call, options, run) => {
        const result = await run(options);
        if (call.operation === "put") await below.put(call.key, [Buffer.from("another")]);
        return result;
      },
    });

    await expect(replaceKeys(repositoryIn(overwritten), stored, lock, signal)).rejects.toMatchObject({
      code: "locked",
    });
  });
});

test("an encrypted repository for which no key is configured is neither read nor written, whatever is asked", async () => {
  const store = await temporaryStore();
  await keysFor(store, operator()).forWriting(signal);
  const without = requirePlain(store, server);

  const calls = [
    without.head("main/x"),
    without.get("main/x"),
    without.put("main/x", []),
    without.startUpload("main/x"),
    without.delete(["main/x"]),
    collect(without.list("main/")),
    collect(without.abandonedUploads("main/")),
  ];

  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({
      status: "rejected",
      reason: {
        code: "encryption-key",
        message: `repository "${store.url}/main" is encrypted, and no key for it is configured`,
      },
    });
  }
});

test("a plain repository is asked once whether it has keys", async () => {
  const counted = faultyStore(await temporaryStore(), { operation: "get" });
  const store = requirePlain(counted, server);

  await store.put("main/x", [Buffer.from("x")]);
  await collect(store.list("main/"));
  await store.head("main/y");

  expect(counted.calls).toBe(1);
});
