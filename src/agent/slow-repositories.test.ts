import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testRepository } from "../archive/testing/archive-bench.ts";
import { segmentName } from "../archive/testing/wal-files.ts";
import { findWalObjects } from "../repository/wal-lookup.ts";
import { requireWalFileName } from "../archive/wal-file.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { temporaryStore } from "../storage/testing/temporary-store.ts";
import { interceptStore } from "../storage/wrappers/intercept.ts";
import { agentStatus } from "./agent-status.ts";
import { eventually, fakeCluster, startAgent, targetOf } from "./testing/agent-bench.ts";

/** A store whose writing of WAL waits at a gate; what waits is counted, and passes when it is opened. */
function gated(inner: ObjectStore) {
  const gate = Promise.withResolvers<void>();
  const state = { waiting: 0, most: 0 };
  const store = interceptStore(inner, {
    call: async (call, options, run) => {
      if (call.operation === "put" && call.key.includes("/wals/")) {
        state.waiting++;
        state.most = Math.max(state.most, state.waiting);
        await gate.promise;
        state.waiting--;
      }
      return run(options);
    },
  });
  return { store, state, open: () => gate.resolve() };
}

const names = (count: number) => Array.from({ length: count }, (_, index) => segmentName(index + 1));
const has = async (store: ObjectStore, name: string) =>
  (await findWalObjects(testRepository(store), requireWalFileName(name))).length > 0;
const acksOf = async (spoolRoot: string) =>
  (await readdir(join(spoolRoot, "ack"))).filter((entry) => !entry.startsWith(".")).sort();

describe("a repository that hangs", () => {
  test("delays nothing where another one is enough, and what it has begun it gets from memory when the file is gone", async () => {
    const [fast, inner] = [await temporaryStore(), await temporaryStore()];
    const slow = gated(inner);
    const cluster = await fakeCluster();
    const files = names(30);
    for (const name of files) await cluster.finish({ name });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(fast, "fast"), targetOf(slow.store, "slow")],
      policy: 1,
      concurrency: 4,
    });

    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual(files));
    expect(slow.state.most).toBe(4);
    const status = await agentStatus(agent);
    expect(status.repositories).toMatchObject([
      { name: "fast", state: "ok", lagFiles: 0, lastStored: { name: files.at(-1) } },
      { name: "slow", state: "ok", owedFiles: 30, lagFiles: 30, lagBytes: 30 * 1_048_576, onTheWayFiles: 4 },
    ]);
    for (const name of files.slice(0, 4)) {
      await cluster.done(name);
      await rm(join(cluster.walDirectory, name));
      // Nobody else has them either: only memory does.
      await fast.delete([`pg1/wals/${name.slice(0, 16)}/${name}.zst`]);
    }

    slow.open();

    await eventually(async () =>
      expect((await agentStatus(agent)).repositories[1]).toMatchObject({ owedFiles: 0, lagFiles: 0 }),
    );
    for (const name of files) expect(await has(inner, name)).toBe(true);
  });

  test("delays what all must have, but not the other repository", async () => {
    const [fast, inner] = [await temporaryStore(), await temporaryStore()];
    const slow = gated(inner);
    const cluster = await fakeCluster();
    const files = names(20);
    for (const name of files) await cluster.finish({ name });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(fast, "fast"), targetOf(slow.store, "slow")],
      concurrency: 4,
    });

    await eventually(async () => expect(await has(fast, files[19]!)).toBe(true));
    expect(await acksOf(agent.spoolRoot)).toEqual([]);
    slow.open();
    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual(files));
  });

  test("of three is not waited for by the two that were named", async () => {
    const [first, second, inner] = [await temporaryStore(), await temporaryStore(), await temporaryStore()];
    const slow = gated(inner);
    const cluster = await fakeCluster();
    await cluster.finish({ name: segmentName(1) });
    const agent = await startAgent({
      dataDirectory: cluster.dataDirectory,
      targets: [targetOf(first, "first"), targetOf(slow.store, "slow"), targetOf(second, "second")],
      policy: ["first", "second"],
    });

    await eventually(async () => expect(await acksOf(agent.spoolRoot)).toEqual([segmentName(1)]));
    expect(await has(first, segmentName(1))).toBe(true);
    expect(await has(second, segmentName(1))).toBe(true);
    expect(await readdir(join(agent.spoolRoot, "owed"))).toEqual([segmentName(1)]);
    slow.open();
    await eventually(async () => expect(await readdir(join(agent.spoolRoot, "owed"))).toEqual([]));
  });
});

describe("a repository that is new in the configuration", () => {
  test("gets the WAL that the other one has, and what nobody has is shown", async () => {
    const [old, added] = [await temporaryStore(), await temporaryStore()];
    const cluster = await fakeCluster();
    const files = names(6);
    for (const name of files) await cluster.finish({ name });
    const both = { dataDirectory: cluster.dataDirectory, policy: 1 };
    const alone = await startAgent({ ...both, targets: [targetOf(old, "old")] });
    await eventually(async () => expect(await acksOf(alone.spoolRoot)).toEqual(files));
    for (const name of files) {
      await cluster.done(name);
      await rm(join(cluster.walDirectory, name));
    }
    await alone.stop();
    const [lost] = files.splice(3, 1);
    await old.delete([`pg1/wals/${lost!.slice(0, 16)}/${lost!}.zst`]);

    const agent = await startAgent({
      ...both,
      spoolDirectory: alone.spoolDirectory,
      targets: [targetOf(old, "old"), targetOf(added, "added")],
    });

    await eventually(async () => {
      for (const name of files) expect(await has(added, name)).toBe(true);
    });
    await eventually(async () =>
      expect(await agentStatus(agent)).toMatchObject({
        holes: { files: 1, names: [lost] },
        repositories: [{ missingFiles: 0 }, { missingFiles: 0, lastStored: { name: files.at(-1) } }],
      }),
    );
  });
});
