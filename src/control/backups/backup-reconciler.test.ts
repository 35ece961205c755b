import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { tidemarkVersion } from "../../common/version.ts";
import { BackupReconciler } from "./backup-reconciler.ts";
import { silentLog } from "../../common/log.ts";
import { backupControl, backupKey, cluster } from "./testing/backup-control.ts";
import { objectStoreDraft } from "./testing/sample-objects.ts";
import { clusterDraft } from "./testing/sample-objects.ts";
import { ScriptedInstance } from "./testing/scripted-instances.ts";

const inTree = {
  plugins: [],
  backup: {
    barmanObjectStore: {
      destinationPath: "s3://bucket/pg",
      endpointURL: "http://localhost:9000",
      serverName: "old-pg",
      s3Credentials: {
        accessKeyId: { name: "keys", key: "id" },
        secretAccessKey: { name: "keys", key: "secret" },
      },
      data: { encryption: "AES256" },
    },
  },
};

describe("a backup by the plugin", () => {
  test("is started, followed, and ends with all that is known of it", async () => {
    const { add, reconcile, status, primary, clock, store, events, finished } = await backupControl();
    const id = add("first");
    expect(await reconcile("first")).toEqual({ afterMs: 2000 });
    expect(primary.asked).toEqual([{ op: "backup", id, name: "backup-20261121120000" }]);
    expect(status("first")).toMatchObject({ phase: "started", startedAt: "2026-11-21T12:00:00Z" });

    await clock.advance(4000);
    primary.job(id, { phase: "copying", doneBytes: 10, totalBytes: 40, backupId: "20261121T120001" });
    expect(await reconcile("first")).toEqual({ afterMs: 2000 });
    expect(status("first")).toMatchObject({
      phase: "started",
      backupId: "20261121T120001",
      progress: { doneBytes: 10, totalBytes: 40, phase: "copying" },
    });
    expect(finished).toEqual([]);

    await clock.advance(6000);
    primary.complete(id);
    expect(await reconcile("first")).toBe("never");

    expect(status("first")).toEqual({
      phase: "completed",
      method: "plugin",
      backupId: "20261121T120001",
      backupName: "backup-20261121120000",
      reconciliationStartedAt: "2026-11-21T12:00:00Z",
      reconciliationTerminatedAt: "2026-11-21T12:00:10Z",
      startedAt: "2026-11-21T12:00:01Z",
      stoppedAt: "2026-11-21T12:00:09Z",
      beginWal: "000000010000000000000002",
      endWal: "000000010000000000000003",
      beginLSN: "0/2000028",
      endLSN: "0/3000138",
      instanceID: { podName: "pg-1", sessionID: "1@2026-11-21T12:00:00.000Z" },
      instanceRole: "primary",
      majorVersion: 17,
      online: true,
      pluginMetadata: {
        name: "barman-cloud.cloudnative-pg.io",
        displayName: "Tidemark",
        version: tidemarkVersion,
        clusterUID: store.require(cluster).metadata.uid,
        pluginName: "barman-cloud.cloudnative-pg.io",
        timeline: "1",
      },
      destinationPath: "/backups",
      serverName: "pg",
      destinations: [{ objectStore: "store", destinationPath: "/backups", serverName: "pg" }],
      clusterUID: store.require(cluster).metadata.uid,
      storedBytes: 4096,
      attempts: 1,
    });
    expect(events()).toEqual(["Normal Starting: Backup started", "Normal Completed: Backup completed"]);
    expect(finished).toEqual([cluster]);
    expect(primary.status?.backups).toEqual([]);
  });

  test("is never touched again when it has ended", async () => {
    const { add, reconcile, primary, store, finished } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.complete(id);
    await reconcile("first");
    const before = store.require(backupKey("first"));

    store.delete(cluster);
    expect(await reconcile("first")).toBe("never");

    expect(store.require(backupKey("first"))).toEqual(before);
    expect(finished).toHaveLength(1);
  });

  test("says where it is and where it is not", async () => {
    const parameters = { barmanObjectName: "store", additionalObjectNames: "offsite" };
    const plugins = [{ name: "barman-cloud.cloudnative-pg.io", parameters }];
    const { add, reconcile, primary, status, events, store } = await backupControl({
      cluster: [{ plugins }],
    });
    store.create(objectStoreDraft("/offsite", { name: "offsite" }));
    const id = add("first");
    await reconcile("first");
    primary.complete(id, { missing: [{ name: "store", message: "no answer" }] });
    await reconcile("first");

    expect(status("first")).toMatchObject({
      phase: "completed",
      // CloudNativePG has room for one place: it is one that has the backup.
      destinationPath: "/offsite",
      destinations: [
        { objectStore: "store", destinationPath: "/backups", error: "no answer" },
        { objectStore: "offsite", destinationPath: "/offsite" },
      ],
    });
    expect(status("first").error).toBeUndefined();
    expect(events().at(-1)).toBe(
      'Warning BackupPartial: the backup is complete and can be restored, but it is not in "store" (no answer)',
    );
  });

  test("says so when pages were damaged", async () => {
    const { add, reconcile, primary, status, events } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.complete(id, { damagedPages: 3 });
    await reconcile("first");

    expect(status("first")).toMatchObject({ phase: "completed", damagedPages: 3 });
    expect(events().at(-1)).toBe(
      "Warning DamagedPages: the backup is complete, but 3 pages with wrong checksums were read: look at the server's disk",
    );
  });
});

test("an in-tree backup goes through CloudNativePG's phases, and names its store without its secrets", async () => {
  const { add, reconcile, primary, status } = await backupControl({ cluster: [inTree] });
  const id = add("first");
  await reconcile("first");
  expect(status("first").phase).toBe("started");
  primary.job(id, { phase: "copying", doneBytes: 1 });
  await reconcile("first");
  expect(status("first").phase).toBe("running");
  primary.complete(id);
  await reconcile("first");

  expect(status("first")).toMatchObject({
    phase: "completed",
    method: "barmanObjectStore",
    destinationPath: "s3://bucket/pg",
    endpointURL: "http://localhost:9000",
    serverName: "old-pg",
    encryption: "AES256",
    s3Credentials: {
      accessKeyId: { name: "keys", key: "id" },
      secretAccessKey: { name: "keys", key: "secret" },
    },
  });
  expect(status("first").pluginMetadata).toBeUndefined();
});

describe("backups of one cluster", () => {
  test("run one at a time, the oldest first", async () => {
    const { add, reconcile, primary, status, clock, reconciler, store } = await backupControl();
    const zulu = add("zulu");
    await clock.advance(1000);
    const alpha = add("alpha");
    expect(await reconcile("alpha")).toEqual({ afterMs: 2000 });
    expect(status("alpha")).toEqual({
      phase: "pending",
      reconciliationStartedAt: "2026-11-21T12:00:01Z",
    });
    await reconcile("zulu");
    await reconcile("alpha");
    expect(status("alpha").phase).toBe("pending");
    expect(primary.asked).toHaveLength(1);

    primary.complete(zulu);
    await reconcile("zulu");
    const resource = store.require(cluster);
    expect(reconciler.affectedBy({ type: "modified", resource })).toEqual([backupKey("alpha")]);
    await reconcile("alpha");

    expect(status("alpha").phase).toBe("started");
    expect(primary.asked.filter(({ op }) => op === "backup")).toEqual([
      expect.objectContaining({ id: zulu }),
      expect.objectContaining({ id: alpha }),
    ]);
  });

  test("of the same second go by their names", async () => {
    const { add, reconcile, status } = await backupControl();
    add("b");
    add("a");
    await reconcile("b");
    await reconcile("a");

    expect([status("a").phase, status("b").phase]).toEqual(["started", "pending"]);
  });

  test("do not wait for one whose Backup was deleted: it is given up", async () => {
    const { add, reconcile, primary, status, store } = await backupControl();
    const id = add("first");
    await reconcile("first");
    store.delete(backupKey("first"));
    expect(await reconcile("first")).toBe("never");
    expect(primary.asked.at(-1)).toEqual({ op: "cancel-backup", id });
    expect(primary.status?.backups).toEqual([]);
    add("second");
    await reconcile("second");
    expect(status("second").phase).toBe("started");
  });
});

describe("a backup that cannot be taken yet", () => {
  test("waits for its cluster", async () => {
    const { add, reconcile, status, events, store, setCluster } = await backupControl({ cluster: "none" });
    add("first");
    expect(await reconcile("first")).toEqual({ afterMs: 30_000 });
    await reconcile("first");
    expect(status("first").phase).toBe("pending");
    expect(events()).toEqual([
      'Warning FindingCluster: unknown cluster "pg", it is looked for again in 30 seconds',
    ]);

    store.create(clusterDraft());
    setCluster({ currentPrimary: "pg-1" });
    await reconcile("first");
    expect(status("first")).toMatchObject({ phase: "started" });
    expect(status("first").error).toBeUndefined();
  });

  test("waits for its instance", async () => {
    const { add, reconcile, status, events, primary } = await backupControl();
    primary.phase = "starting";
    add("first");
    expect(await reconcile("first")).toEqual({ afterMs: 30_000 });
    expect(status("first")).toMatchObject({
      phase: "pending",
      error: 'instance "pg-1" is not ready: it is starting',
    });
    expect(events()).toEqual(['Warning BackupPending: instance "pg-1" is not ready: it is starting']);

    primary.phase = "running";
    await reconcile("first");
    expect(status("first").phase).toBe("started");
  });

  test("waits for the end of a major upgrade", async () => {
    const { add, reconcile, status, setCluster } = await backupControl();
    setCluster({ currentPrimary: "pg-1", phase: "Upgrading Postgres major version" });
    add("first");
    await reconcile("first");

    expect(status("first").phase).toBe("pending");
  });

  test("fails when it never can be, with CloudNativePG's reason", async () => {
    const { add, reconcile, status, events, finished } = await backupControl({
      cluster: [{}, { "cnpg.io/hibernation": "on" }],
    });
    add("first");
    expect(await reconcile("first")).toBe("never");

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: "cannot backup a hibernated cluster",
      stoppedAt: "2026-11-21T12:00:00Z",
    });
    expect(events()).toEqual(["Warning ClusterIsHibernated: cannot backup a hibernated cluster"]);
    expect(finished).toEqual([cluster]);
  });

  test("is invalid when it is wrong in itself", async () => {
    const { add, reconcile, status } = await backupControl();
    add("first", { method: "plugin" });

    expect(await reconcile("first")).toBe("never");
    expect(status("first")).toEqual({
      phase: "invalid backup definition",
      error: "spec.pluginConfiguration: cannot be empty when the backup method is plugin",
    });
  });
});

describe("while archiving fails", () => {
  const failing = {
    currentPrimary: "pg-1",
    conditions: [
      {
        type: "ContinuousArchiving",
        status: "False",
        reason: "ContinuousArchivingFailing",
        message: "no such bucket",
        lastTransitionTime: "2026-11-21T12:00:00Z",
      },
    ],
  };

  test.each([
    ["plugin", {}, "pending"],
    ["in-tree", inTree, "walArchivingFailing"],
  ])("a backup (%s) waits, and goes on when it works again", async (_method, spec, phase) => {
    const { add, reconcile, status, events, setCluster } = await backupControl({ cluster: [spec] });
    setCluster(failing);
    add("first");
    await reconcile("first");
    await reconcile("first");
    expect(status("first")).toMatchObject({ phase, error: "WAL archiving is failing: no such bucket" });
    expect(events()).toEqual(["Warning WalArchivingFailing: WAL archiving is failing: no such bucket"]);

    setCluster({ currentPrimary: "pg-1" });
    await reconcile("first");
    expect(status("first")).toMatchObject({ phase: "started" });
    expect(status("first").waiting).toBeUndefined();
  });

  test("a backup is given up after ten minutes", async () => {
    const { add, reconcile, status, setCluster, clock } = await backupControl();
    setCluster(failing);
    add("first");
    await reconcile("first");
    await clock.advance(10 * 60_000);
    await reconcile("first");
    expect(status("first").phase).toBe("pending");
    await clock.advance(1000);
    await reconcile("first");

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: "WAL archiving is failing: no such bucket",
    });
  });

  test("what the primary says of it counts as well", async () => {
    const { add, reconcile, status, primary } = await backupControl();
    primary.archivingError = { code: "system-mismatch", message: "Expected empty archive" };
    add("first");
    await reconcile("first");

    expect(status("first").error).toBe("WAL archiving is failing: Expected empty archive");
  });
});

describe("a backup fails", () => {
  test("when its instance says so", async () => {
    const { add, reconcile, status, primary, events } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.fail(id, "the bucket is full");
    await reconcile("first");

    expect(status("first")).toMatchObject({ phase: "failed", error: "the bucket is full" });
    expect(events().slice(1)).toEqual([
      "Normal Failed: Backup failed",
      "Warning Error: Backup exit with error the bucket is full",
    ]);
    expect(primary.status?.backups).toEqual([]);
  });

  test.each([
    ["running", {}],
    ["failed by the next process", { state: "failed" as const, stoppedAt: "2026-11-21T12:00:06.000Z" }],
    [
      "failed by the process that ended",
      {
        state: "failed" as const,
        stoppedAt: "2026-11-21T12:00:04.000Z",
        error: {
          code: "aborted",
          message: "instance manager was restarted during backup on instance pg-1",
        },
      },
    ],
  ])("when the process of its instance was restarted (the job is %s)", async (_title, job) => {
    const { add, reconcile, status, primary, events, clock } = await backupControl();
    await clock.advance(1000);
    const id = add("first");
    await reconcile("first");
    await clock.advance(5000);
    primary.restart();
    primary.job(id, job);
    await reconcile("first");

    const message = "instance manager was restarted during backup on instance pg-1";
    expect(status("first")).toMatchObject({ phase: "failed", error: message });
    expect(events().slice(1)).toEqual([
      `Warning InstanceManagerRestarted: ${message}`,
      "Normal Failed: Backup failed",
    ]);
  });

  test("when its instance is given up", async () => {
    const { add, reconcile, status, primary, events } = await backupControl();
    add("first");
    await reconcile("first");
    primary.phase = "failed";
    primary.error = { code: "disk-full", message: "no space left" };
    await reconcile("first");

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: 'instance "pg-1" is not healthy: no space left',
    });
    expect(events()[1]).toBe('Warning TargetPodNotHealthy: instance "pg-1" is not healthy: no space left');
  });

  test("when its instance does not answer for two minutes, and not before", async () => {
    const { add, reconcile, status, primary, clock, events } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.isAnswering = false;
    await reconcile("first");
    await clock.advance(119_000);
    await reconcile("first");
    expect(status("first").phase).toBe("started");

    primary.isAnswering = true;
    primary.job(id, { phase: "copying" });
    await reconcile("first");
    expect(status("first").waiting).toBeUndefined();
    primary.isAnswering = false;
    await reconcile("first");
    await clock.advance(121_000);
    await reconcile("first");

    expect(status("first")).toMatchObject({ phase: "failed", error: 'instance "pg-1" does not answer' });
    expect(events()).toContain('Warning TargetPodNotHealthy: instance "pg-1" does not answer');
  });

  test("when its cluster was hibernated meanwhile", async () => {
    const { add, reconcile, status, primary, store } = await backupControl();
    add("first");
    await reconcile("first");
    primary.isAnswering = false;
    store.update(clusterDraft({}, { "cnpg.io/hibernation": "on" }));
    await reconcile("first");

    expect(status("first")).toMatchObject({ phase: "failed", error: "cannot backup a hibernated cluster" });
  });

  test("when its cluster was deleted, or made anew", async () => {
    const { add, reconcile, status, store } = await backupControl();
    add("first");
    await reconcile("first");
    store.delete(cluster);
    store.create(clusterDraft());
    await reconcile("first");

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: 'cluster "pg" was deleted during the backup',
    });
  });

  test("when its instance refuses it for good", async () => {
    const { add, reconcile, status, primary, warnings, finished } = await backupControl();
    primary.refusal = new EngineError("config", "nothing is archived here");
    add("first");
    expect(await reconcile("first")).toBe("never");

    expect(status("first")).toMatchObject({ phase: "failed", error: "nothing is archived here" });
    expect(warnings).toEqual([
      "instance pg-1 did not take a request for Backup production/first: nothing is archived here",
    ]);
    expect(finished).toEqual([cluster]);
  });

  test("when its instance takes no notice of it", async () => {
    const { add, reconcile, status, primary, clock } = await backupControl();
    primary.refusal = new EngineError("locked", "another one is running");
    add("first");
    expect(await reconcile("first")).toEqual({ afterMs: 5000 });
    for (let minute = 0; minute < 7; minute++) {
      await clock.advance(60_000);
      await reconcile("first");
    }

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: 'instance "pg-1" takes no notice of the backup',
    });
  });
});

describe("a backup is started again", () => {
  test("elsewhere when its instance is gone, three times at most", async () => {
    const { add, reconcile, status, instances, events, clock } = await backupControl({ standbys: 1 });
    add("first", { target: "prefer-standby" });
    await reconcile("first");
    expect(status("first").instanceID?.podName).toBe("pg-2");
    for (const name of ["pg-3", "pg-4", "pg-5"]) {
      const [primary] = instances.instances;
      instances.instances = [primary!, new ScriptedInstance(name, { clock, role: "standby" })];
      await reconcile("first");
      await reconcile("first");
    }

    expect(status("first")).toMatchObject({
      phase: "failed",
      error: 'instance "pg-4" is gone, and the backup was started 3 times',
    });
    expect(events().filter((event) => event.includes("ReStarting"))).toEqual([
      'Normal ReStarting: Restarting the backup: instance "pg-2" is gone',
      'Normal ReStarting: Restarting the backup: instance "pg-3" is gone',
    ]);
  });

  test("on the new primary after a switchover", async () => {
    const { add, reconcile, status, instances, setCluster } = await backupControl({ standbys: 1 });
    const id = add("first", { target: "primary" });
    await reconcile("first");
    const [old, next] = instances.instances;
    // Its server is stopped; who is primary then is not known yet.
    old!.fail(id, "the server was stopped");
    old!.phase = "stopped";
    await reconcile("first");
    expect(status("first")).toMatchObject({ phase: "started", waiting: { for: "role" } });

    setCluster({ currentPrimary: "pg-2" });
    next!.role = "primary";
    await reconcile("first");
    expect(status("first").phase).toBe("pending");
    old!.phase = "running";
    old!.role = "standby";
    await reconcile("first");

    expect(status("first")).toMatchObject({
      phase: "started",
      attempts: 2,
      instanceID: { podName: "pg-2" },
    });
    expect(old!.status?.backups).toEqual([]);
    next!.complete(id);
    await reconcile("first");
    expect(status("first").phase).toBe("completed");
  });

  test("when the standby that took it was promoted, and not with what its old job says", async () => {
    const { add, reconcile, status, instances, setCluster } = await backupControl({ standbys: 1 });
    const id = add("first");
    await reconcile("first");
    const standby = instances.instances[1]!;
    standby.fail(id, "the standby was promoted during online backup");
    standby.role = "primary";
    instances.instances = [standby];
    setCluster({ currentPrimary: "pg-2" });
    await reconcile("first");
    await reconcile("first");

    expect(status("first")).toMatchObject({ phase: "started", attempts: 2 });
    expect(standby.status?.backups).toMatchObject([{ id, state: "running" }]);
  });

  test("and an old job that could not be forgotten is forgotten first", async () => {
    const { add, reconcile, status, instances, setCluster } = await backupControl({ standbys: 1 });
    const id = add("first");
    await reconcile("first");
    const standby = instances.instances[1]!;
    standby.fail(id, "promoted");
    standby.role = "primary";
    instances.instances = [standby];
    setCluster({ currentPrimary: "pg-2" });
    standby.refusal = new EngineError("agent-unreachable", "busy");
    await reconcile("first");
    standby.refusal = undefined;
    expect(await reconcile("first")).toEqual({ afterMs: 1000 });
    expect(status("first").phase).toBe("pending");
    await reconcile("first");

    expect(standby.status?.backups).toMatchObject([{ id, state: "running" }]);
  });
});

describe("after the control plane was killed", () => {
  test("between its note and its request, the instance is asked again under the same ID", async () => {
    const { add, reconcile, status, primary, clock } = await backupControl();
    const id = add("first");
    primary.refusal = new EngineError("agent-unreachable", "killed before it could ask");
    await reconcile("first");
    expect(primary.status?.backups).toEqual([]);
    primary.refusal = undefined;
    await reconcile("first");
    // What an instance says of itself may be some seconds old.
    expect(primary.asked).toHaveLength(1);
    await clock.advance(6000);
    await reconcile("first");

    expect(primary.status?.backups).toMatchObject([{ id, state: "running" }]);
    expect(status("first")).toMatchObject({ phase: "started", attempts: 1 });
  });

  test("during the backup, another one follows it to its end", async () => {
    const { add, reconcile, status, primary, store, instances, clock } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.complete(id);
    const restarted = new BackupReconciler({
      store,
      instances,
      clock,
      log: silentLog,
      onFinished: () => undefined,
    });
    await restarted.reconcile(backupKey("first"), new AbortController().signal);

    expect(status("first").phase).toBe("completed");
    expect(primary.status?.backups).toEqual([]);
  });

  test("before it had the instance forget a job, it does so later", async () => {
    const { add, reconcile, primary } = await backupControl();
    const id = add("first");
    await reconcile("first");
    primary.complete(id);
    const { ask } = primary;
    primary.ask = async (request) => {
      if (request.op === "forget-backup") throw new EngineError("agent-unreachable", "killed");
      return ask.call(primary, request);
    };
    await reconcile("first");
    expect(primary.status?.backups).toHaveLength(1);
    primary.ask = ask;
    await reconcile("first");

    expect(primary.status?.backups).toEqual([]);
  });
});
