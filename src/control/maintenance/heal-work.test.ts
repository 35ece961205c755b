import { rename } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { silentLog } from "../../common/log.ts";
import { backupControl, cluster } from "../backups/testing/backup-control.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { healWork } from "./heal-work.ts";
import { systemOfCluster } from "./retention-work.ts";
import { putBackup, putIdentity, putSegments } from "../../../test/support/sample-archive.ts";
import { parseSystemIdentifier } from "../../postgres/system-identifier.ts";
import type { Repository } from "../../repository/repository.ts";
import {
  clusterRepository,
  GivenRepositories,
  storedBackups,
  systemIdentifier,
} from "./testing/stored-backups.ts";

const { signal } = new AbortController();

/** On the 21st at noon; the second store keeps seven days. */
async function healing() {
  const control = await backupControl();
  const { store, instances, clock, setCluster } = control;
  setCluster({ currentPrimary: "pg-1", firstRecoverabilityPoint: "2026-11-03T00:00:00Z" });
  const [first, second] = [await storedBackups("first"), await storedBackups("second")];
  const healed: ResourceKey[] = [];
  const repositories = new GivenRepositories(clusterRepository(first), clusterRepository(second, "7d"));
  const work = healWork({
    store,
    repositories,
    systemOf: (resource) => systemOfCluster(resource, instances),
    clock,
    log: silentLog,
    onHealed: (key) => healed.push(key),
  });
  return {
    ...control,
    first,
    second,
    healed,
    repositories,
    run: async () => work.run(store.require(cluster), signal),
    work,
  };
}

describe("healing by itself", () => {
  test("is for those that have several stores", async () => {
    const { store, work } = await healing();

    expect(work.intervalMs(store.require(cluster))).toBeUndefined();
  });

  test("finds nothing to do where everything is as it should be", async () => {
    const { first, second, run, events, healed } = await healing();
    for (const stored of [first, second]) await stored.claim();

    await run();

    expect({ events: events(), healed }).toEqual({ events: [], healed: [] });
  });

  test("a store that was added gets what its retention keeps, and no more; an event says so", async () => {
    const { first, second, run, events, healed } = await healing();
    const system = parseSystemIdentifier(systemIdentifier);
    const source: Repository = { ...first.repository };
    await putIdentity(source, system);
    await putSegments(source, 3, 20, system);
    for (const day of [3, 8, 13, 18]) await putBackup(source, day, { system });

    await run();

    expect(await second.days()).toEqual([13, 18]);
    // Those that the backups need: by this clock the others were only just stored, and their archiver may be at it.
    expect((await second.segments()).length).toBe(4);
    expect(events()).toEqual([
      'Normal RepositoryHealed: Repository "second" was given what it lacked: backups 20261118T000000, 20261113T000000, 4 WAL files',
    ]);
    expect(healed).toEqual([cluster]);

    await run();
    expect(healed).toHaveLength(1);
  });

  test("waits for the first base backup: before, a store may not have been begun", async () => {
    const { repositories, run, setCluster } = await healing();
    setCluster({ currentPrimary: "pg-1" });
    repositories.failure = new Error("no such directory");

    await expect(run()).resolves.toBeUndefined();
  });

  test("goes on without a store that cannot be read, and is tried again soon for its sake", async () => {
    const { first, second, run, repositories } = await healing();
    const third = await storedBackups("third");
    repositories.all.push(clusterRepository(third));
    const system = parseSystemIdentifier(systemIdentifier);
    await putIdentity({ ...second.repository }, system);
    await putSegments({ ...second.repository }, 18, 20, system);
    await putBackup({ ...second.repository }, 18, { system });
    await rename(first.directory, `${first.directory}-unmounted`);

    await expect(run()).rejects.toMatchObject({ code: "store-missing" });
    await rename(`${first.directory}-unmounted`, first.directory);

    expect(await third.days()).toEqual([18]);
    await run();
    expect(await first.days()).toEqual([18]);
  });

  test("fails with an event's words when a repository cannot be opened, and touches nothing of another system", async () => {
    const { first, second, run, repositories } = await healing();
    await first.claim("4711");
    await first.put(18);

    await run();

    expect(await second.days()).toEqual([]);
    repositories.failure = new Error("no Secret");
    await expect(run()).rejects.toThrow("no Secret");
  });
});
