import { expect, test } from "vitest";
import { setTimeout } from "node:timers/promises";
import { systemClock } from "../../common/clock.ts";
import { silentLog } from "../../common/log.ts";
import { backupControl, cluster } from "../backups/testing/backup-control.ts";
import { backupDraft, objectStoreDraft } from "../backups/testing/sample-objects.ts";
import { keyOf, type ResourceKey } from "../resources/resource.ts";
import { WindowTable } from "./cluster-windows.ts";
import { IntervalWorks } from "./interval-work.ts";
import { retentionWork, systemOfCluster } from "./retention-work.ts";
import { clusterRepository, GivenRepositories, storedBackups } from "./testing/stored-backups.ts";
import { windowsWork, windowsWorkName } from "./windows-work.ts";

test("what retention deletes is out of the windows at once, and its Backup is gone", async () => {
  const { store, instances, clock } = await backupControl();
  store.update(objectStoreDraft("/backups", { retentionPolicy: "7d" }));
  const stored = await storedBackups();
  await stored.claim();
  const reads: ResourceKey[] = [];
  const repositories = new GivenRepositories(clusterRepository(stored, "7d"));
  const table = new WindowTable();
  const works: IntervalWorks = new IntervalWorks({
    store,
    works: [
      windowsWork({ store, repositories, table, clock, log: silentLog, onRead: (key) => reads.push(key) }),
      retentionWork({
        store,
        repositories,
        systemOf: (resource) => systemOfCluster(resource, instances),
        clock,
        onDeleted: (key) => works.request(key, windowsWorkName),
      }),
    ],
    // It waits for real files.
    clock: systemClock,
    log: silentLog,
    random: () => 0,
  });
  const read = async (count: number) => {
    while (reads.length < count) await setTimeout(5);
  };
  const window = () => table.of(store.require(cluster))?.[0];
  for (const day of [3, 8, 13]) {
    const backupId = await stored.put(day);
    const key = keyOf(store.create(backupDraft(`day-${day}`)));
    const place = { objectStore: "store", destinationPath: "/backups", serverName: "pg" };
    const clusterUID = store.require(cluster).metadata.uid;
    store.setStatus(key, { phase: "completed", backupId, clusterUID, destinations: [place] }, {});
  }

  const stop = new AbortController();
  const ended = works.run(stop.signal);
  // First as they were, then without what retention has deleted.
  await read(2);
  expect(window()?.firstRecoverabilityPoint).toEqual(new Date("2026-11-13T00:00:00Z"));
  await stored.put(20);
  works.request(cluster, windowsWorkName);
  await read(3);
  stop.abort();
  await ended;

  expect(window()).toMatchObject({
    firstRecoverabilityPoint: new Date("2026-11-13T00:00:00Z"),
    lastSuccessfulBackupTime: new Date("2026-11-20T00:00:00Z"),
  });
  expect(store.list({ kind: "Backup" }).map(({ metadata }) => metadata.name)).toEqual(["day-13"]);
  expect(await stored.days()).toEqual([13, 20]);
});
