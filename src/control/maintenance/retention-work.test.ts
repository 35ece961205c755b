import { describe, expect, test } from "vitest";
import { keepBackup } from "../../backup/keep.ts";
import { faultyStore } from "../../storage/testing/faulty-store.ts";
import { backupControl, cluster } from "../backups/testing/backup-control.ts";
import { clusterDraft, objectStoreDraft } from "../backups/testing/sample-objects.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { planRetention, retentionWork, systemOfCluster } from "./retention-work.ts";
import { clusterRepository, GivenRepositories, storedBackups } from "./testing/stored-backups.ts";

const { signal } = new AbortController();

/** On the 21st at noon, with a window of seven days: it begins on the 14th at noon. */
async function retention(...given: Parameters<typeof storedBackups>) {
  const control = await backupControl();
  const { store, instances, clock } = control;
  const stored = await storedBackups(...given);
  const repositories = new GivenRepositories(clusterRepository(stored, "7d"));
  const deletedOf: ResourceKey[] = [];
  const work = retentionWork({
    store,
    repositories,
    systemOf: (resource) => systemOfCluster(resource, instances),
    clock,
    onDeleted: (key) => deletedOf.push(key),
  });
  return {
    ...control,
    stored,
    repositories,
    work,
    deletedOf,
    run: async () => work.run(store.require(cluster), signal),
  };
}

describe("retention", () => {
  test("deletes what is obsolete, oldest first, and the WAL that only that needed", async () => {
    const { stored, run, events, deletedOf } = await retention();
    await stored.claim();
    for (const day of [3, 8, 13, 18]) await stored.put(day);

    await run();

    expect(await stored.days()).toEqual([13, 18]);
    expect(await stored.segments()).toEqual(["0D", "12"]);
    expect(events()).toEqual([
      'Normal RetentionPolicyApplied: RECOVERY WINDOW OF 7 DAYS: deleted 20261103T000000, 20261108T000000 from repository "store"',
    ]);
    expect(deletedOf).toEqual([cluster]);
  });

  test("has nothing to do the second time", async () => {
    const { stored, run, deletedOf } = await retention();
    await stored.claim();
    for (const day of [8, 13]) await stored.put(day);
    await run();
    await run();

    expect(deletedOf).toHaveLength(1);
    expect(await stored.days()).toEqual([13]);
  });

  test("leaves kept backups, and of a standalone one no more WAL than its own", async () => {
    const { stored, run } = await retention();
    await stored.claim();
    for (const day of [3, 5, 8, 13, 18]) await stored.put(day);
    const { repository } = stored;
    await keepBackup(repository, (await planned(stored))[0]!, "standalone");

    await run();

    expect(await stored.days()).toEqual([3, 13, 18]);
    expect(await stored.segments()).toEqual(["03", "0D", "12"]);
  });

  test("plans before it deletes, and the plan can be had alone", async () => {
    const { stored, clock } = await retention();
    for (const day of [3, 8, 13]) await stored.put(day);
    const now = clock.now();

    const plan = await planRetention(clusterRepository(stored, "7d"), { now });
    expect(plan?.obsolete).toEqual(["20261103T000000", "20261108T000000"]);
    expect(await planRetention(clusterRepository(stored), { now })).toBeUndefined();
    expect(await stored.days()).toEqual([3, 8, 13]);
  });

  test("goes on with the other repositories when one fails, and fails in the end", async () => {
    const { stored, repositories, run, deletedOf } = await retention("store", (store) =>
      faultyStore(store, { operation: "delete", failAtCall: 1 }),
    );
    const other = await storedBackups("other");
    repositories.all.push(clusterRepository(other, "1w"));
    for (const each of [stored, other]) {
      await each.claim();
      for (const day of [3, 8, 13]) await each.put(day);
    }

    await expect(run()).rejects.toMatchObject({ code: "store-unavailable" });
    expect(await other.days()).toEqual([13]);
    expect(deletedOf).toEqual([cluster]);
    // The next run makes up for it.
    await run();
    expect(await stored.days()).toEqual([13]);
  });

  test("never deletes what another system has left under the name", async () => {
    const { stored, run } = await retention();
    await stored.claim("7000000000000000002");
    for (const day of [3, 8, 13]) await stored.put(day);

    await expect(run()).rejects.toMatchObject({ code: "system-mismatch" });
    expect(await stored.days()).toEqual([3, 8, 13]);
  });

  test("leaves a repository alone that nothing was written to yet", async () => {
    const { stored, run } = await retention();
    for (const day of [3, 8, 13]) await stored.put(day);
    await run();

    expect(await stored.days()).toEqual([3, 8, 13]);
  });

  test("does nothing without a running primary", async () => {
    const { stored, run, primary } = await retention();
    await stored.claim();
    for (const day of [3, 8, 13]) await stored.put(day);
    primary.role = "standby";
    await run();
    primary.isAnswering = false;
    await run();

    expect(await stored.days()).toEqual([3, 8, 13]);
  });

  test("refuses a policy that it does not understand", async () => {
    const { stored, repositories, run } = await retention();
    await stored.claim();
    await stored.put(3);
    repositories.all = [clusterRepository(stored, "thirty days")];

    await expect(run()).rejects.toThrow('"thirty days" is not a retention policy');
  });

  test("comes as often as the store says, and only where there is a policy", async () => {
    const { store, work } = await retention();
    const interval = () => work.intervalMs(store.require(cluster));
    expect(interval()).toBeUndefined();
    store.update(objectStoreDraft("/backups", { retentionPolicy: "7d" }));
    expect(interval()).toBe(1_800_000);
    const often = { retentionPolicyIntervalSeconds: 10 };
    store.update(
      objectStoreDraft("/backups", { retentionPolicy: "7d", instanceSidecarConfiguration: often }),
    );
    expect(interval()).toBe(10_000);
    // Not without a pause, whatever it says.
    const always = { retentionPolicyIntervalSeconds: 0 };
    store.update(
      objectStoreDraft("/backups", { retentionPolicy: "7d", instanceSidecarConfiguration: always }),
    );
    expect(interval()).toBe(1000);
    store.update(clusterDraft({ plugins: [] }));
    expect(interval()).toBeUndefined();
  });
});

async function planned({ repository }: Awaited<ReturnType<typeof storedBackups>>) {
  const target = { repository, objectStore: "store", retentionPolicy: "7d", retentionIntervalSeconds: 1800 };
  const plan = await planRetention(target, { now: new Date("2026-11-21T12:00:00Z") });
  return plan?.obsolete ?? [];
}
