import { expect, test } from "vitest";
import { createLog } from "../../common/log.ts";
import { clusterDraft, scheduleDraft } from "../backups/testing/sample-objects.ts";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { keyOf, ownerReferenceTo, type ResourceDraft } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { ScheduleReconciler } from "./schedule-reconciler.ts";

async function control() {
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const store = await (await temporaryResources()).open(clock);
  const warnings: string[] = [];
  const log = createLog((_level, message, { error }) => warnings.push(`${message}: ${error}`));
  const reconciler = new ScheduleReconciler({ store, clock, log });
  return {
    clock,
    store,
    reconciler,
    warnings,
    add: (draft: ResourceDraft) => keyOf(store.create(draft)),
    backups: () => store.list({ kind: "Backup" }),
    reasons: () => store.events().map(({ reason, type }) => `${type} ${reason}`),
  };
}

test("a slot becomes a Backup with the schedule's settings, labels and name", async () => {
  const { clock, store, reconciler, add, backups } = await control();
  const key = add(
    scheduleDraft({
      target: "primary",
      method: "plugin",
      pluginConfiguration: { name: "x" },
      immediate: false,
    }),
  );
  await reconciler.reconcile(key);
  expect(backups()).toEqual([]);
  expect(store.require(key).status).toEqual({
    lastCheckTime: "2026-11-21T12:00:00Z",
    nextScheduleTime: "2026-11-22T03:00:00Z",
    nextScheduleTimes: ["2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z", "2026-11-24T03:00:00Z"],
  });

  await clock.advance(15 * 3600 * 1000);
  await reconciler.reconcile(key);
  await reconciler.reconcile(key);

  expect(backups()).toHaveLength(1);
  expect(backups()[0]).toMatchObject({
    apiVersion: "postgresql.cnpg.io/v1",
    metadata: {
      name: "nightly-20261122030000",
      ownerReferences: [],
      labels: {
        "cnpg.io/cluster": "pg",
        "cnpg.io/immediateBackup": "false",
        "cnpg.io/scheduled-backup": "nightly",
      },
    },
    content: {
      spec: {
        cluster: { name: "pg" },
        method: "plugin",
        target: "primary",
        pluginConfiguration: { name: "x" },
      },
    },
  });
  expect(store.require(key).status).toMatchObject({
    lastCheckTime: "2026-11-22T03:00:00Z",
    lastScheduleTime: "2026-11-22T03:00:00Z",
    nextScheduleTime: "2026-11-23T03:00:00Z",
  });
});

test("a schedule that was missed for days makes one Backup after a restart", async () => {
  const { clock, store, reconciler, add, backups } = await control();
  const key = add(scheduleDraft());
  await reconciler.reconcile(key);

  clock.stepWall(5 * 24 * 3600 * 1000);
  const restarted = new ScheduleReconciler({ store, clock, log: createLog(() => undefined) });
  await restarted.reconcile(key);
  for (const backup of backups()) store.setStatus(keyOf(backup), { phase: "completed" }, {});
  await restarted.reconcile(key);

  expect(backups().map(({ metadata }) => metadata.name)).toEqual(["nightly-20261122030000"]);
});

test("children may be owned by the schedule or by the cluster, and then go with it", async () => {
  const { store, reconciler, add, backups } = await control();
  const cluster = store.create(clusterDraft({ inheritedMetadata: { labels: { team: "a" } } }));
  const own = store.create({
    ...scheduleDraft({ immediate: true, backupOwnerReference: "self" }),
    name: "own",
  });
  const theirs = add({
    ...scheduleDraft({ immediate: true, backupOwnerReference: "cluster" }),
    name: "theirs",
  });
  await reconciler.reconcile(keyOf(own));
  await reconciler.reconcile(theirs);

  expect(backups().map(({ metadata }) => metadata.ownerReferences)).toEqual([
    [ownerReferenceTo(own)],
    [ownerReferenceTo(cluster)],
  ]);
  expect(backups()[1]?.metadata.labels).toMatchObject({ team: "a", "cnpg.io/immediateBackup": "true" });
  store.delete(keyOf(own));
  store.delete(keyOf(cluster));
  expect(backups()).toEqual([]);
});

test("a Backup that cannot be created yet is created when its cluster is there", async () => {
  const { clock, store, reconciler, add, backups, reasons } = await control();
  const key = add(scheduleDraft({ immediate: true, backupOwnerReference: "cluster" }));
  expect(await reconciler.reconcile(key)).toEqual({ afterMs: 60_000 });
  await clock.advance(60_000);
  await reconciler.reconcile(key);
  expect(store.require(key).status).toEqual({
    error: 'cluster "pg", which is to own the backup, is not there',
  });
  expect(reasons()).toEqual(["Warning BackupCreation"]);

  const cluster = store.create(clusterDraft());
  expect(reconciler.affectedBy({ type: "added", resource: cluster })).toEqual([key]);
  await reconciler.reconcile(key);

  expect(backups()).toHaveLength(1);
  expect(store.require(key).status?.["error"]).toBeUndefined();
});

test("method plugin without a plugin makes no Backup, as CloudNativePG would refuse it", async () => {
  const { store, reconciler, add, backups } = await control();
  const key = add(scheduleDraft({ immediate: true, method: "plugin" }));
  await reconciler.reconcile(key);

  expect(backups()).toEqual([]);
  expect(store.require(key).status).toEqual({
    error: "spec.pluginConfiguration: cannot be empty when the backup method is plugin",
  });
});

test("a child that has ended has its schedule looked at", async () => {
  const { store, reconciler, add, backups } = await control();
  const key = add(scheduleDraft({ immediate: true }));
  await reconciler.reconcile(key);
  const running = backups()[0]!;
  expect(reconciler.affectedBy({ type: "modified", resource: running })).toEqual([]);
  expect(reconciler.affectedBy({ type: "deleted", resource: running })).toEqual([key]);
  const resource = store.setStatus(keyOf(running), { phase: "failed" }, {})!;

  expect(reconciler.affectedBy({ type: "modified", resource })).toEqual([key]);
  expect(reconciler.affectedBy({ type: "modified", resource: store.require(key) })).toEqual([]);
});

test("one that is gone is not looked at again", async () => {
  const { store, reconciler, add } = await control();
  const key = add(scheduleDraft());
  store.delete(key);

  expect(await reconciler.reconcile(key)).toBe("never");
});
