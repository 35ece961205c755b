import { describe, expect, test } from "vitest";
import { EngineError } from "../../common/errors.ts";
import { silentLog } from "../../common/log.ts";
import { openFileStore } from "../../storage/file/file-store.ts";
import { faultyStore } from "../../storage/testing/faulty-store.ts";
import { backupInfoKey } from "../../repository/keys.ts";
import { backupControl, cluster } from "../backups/testing/backup-control.ts";
import { backupDraft, clusterDraft, objectStoreDraft } from "../backups/testing/sample-objects.ts";
import { keyOf, type ResourceKey } from "../resources/resource.ts";
import { serverDraft } from "../servers/testing/sample-server.ts";
import { WindowTable } from "./cluster-windows.ts";
import { clusterRepository, GivenRepositories, storedBackups } from "./testing/stored-backups.ts";
import { windowsWork } from "./windows-work.ts";

const { signal } = new AbortController();

async function windows(...given: Parameters<typeof storedBackups>) {
  const control = await backupControl();
  const { store, clock } = control;
  const stored = await storedBackups(...given);
  const repositories = new GivenRepositories(clusterRepository(stored));
  const table = new WindowTable();
  const readOf: ResourceKey[] = [];
  const work = windowsWork({
    store,
    repositories,
    table,
    clock,
    log: silentLog,
    onRead: (key) => readOf.push(key),
  });
  return {
    ...control,
    stored,
    repositories,
    table,
    readOf,
    work,
    run: async () => work.run(store.require(cluster), signal),
    window: () => table.of(store.require(cluster)),
    /** A Backup that has completed, as its reconciler leaves it. */
    completed: (name: string, backupId: string, more: Readonly<Record<string, unknown>> = {}) => {
      const key = keyOf(store.create(backupDraft(name)));
      const place = { objectStore: "store", destinationPath: "/backups", serverName: "pg" };
      const clusterUID = store.require(cluster).metadata.uid;
      store.setStatus(key, { phase: "completed", backupId, clusterUID, destinations: [place], ...more }, {});
    },
    names: () => store.list({ kind: "Backup" }).map(({ metadata }) => metadata.name),
  };
}

describe("windows", () => {
  test("of a Server are its own, and Backups of a Cluster of its name are left alone", async () => {
    const { store, stored, work, table, completed, names } = await windows();
    await stored.claim();
    await stored.put(8);
    completed("of-the-cluster", "20261103T000000");
    const server = store.create({ ...serverDraft(), name: "pg" });

    await work.run(server, signal);

    expect(table.of(server)?.[0]?.firstRecoverabilityPoint).toEqual(new Date("2026-11-08T00:00:00Z"));
    expect(names()).toEqual(["of-the-cluster"]);
  });

  test("are read from each repository's catalogue", async () => {
    const { stored, repositories, run, window, readOf } = await windows();
    const other = await storedBackups("other");
    repositories.all.push(clusterRepository(other));
    expect(window()).toBeUndefined();
    for (const day of [8, 3, 13]) await stored.put(day);

    await run();

    const readAt = new Date("2026-11-21T12:00:00Z");
    expect(window()).toEqual([
      {
        repository: "store",
        objectStore: "store",
        serverName: "pg",
        readAt,
        firstRecoverabilityPoint: new Date("2026-11-03T00:00:00Z"),
        lastSuccessfulBackupTime: new Date("2026-11-13T00:00:00Z"),
        backupCount: 3,
        error: undefined,
      },
      {
        repository: "other",
        objectStore: "other",
        serverName: "pg",
        readAt,
        firstRecoverabilityPoint: undefined,
        lastSuccessfulBackupTime: undefined,
        backupCount: 0,
        error: undefined,
      },
    ]);
    expect(readOf).toEqual([cluster]);
  });

  test("stay as they were while a repository cannot be read, and say why", async () => {
    let broken = false;
    const { stored, run, window } = await windows("store", (store) => {
      const bad = faultyStore(store, { probability: 1 });
      return new Proxy(store, {
        get: (_target, name) => {
          const from = broken ? bad : store;
          const value: unknown = Reflect.get(from, name);
          return typeof value === "function" ? (value.bind(from) as unknown) : value;
        },
      });
    });
    await stored.put(3);
    await run();
    const [before] = window()!;
    broken = true;

    await expect(run()).rejects.toMatchObject({ code: "store-unavailable" });
    expect(window()).toEqual([{ ...before, error: expect.stringContaining("injected fault") as string }]);
    broken = false;
    await run();
    expect(window()).toEqual([before]);
  });

  test("say why when the stores cannot even be opened", async () => {
    const { stored, repositories, run, window } = await windows();
    repositories.failure = new EngineError("manifest", "Secret is missing");
    await expect(run()).rejects.toThrow("Secret is missing");
    expect(window()).toBeUndefined();
    repositories.failure = undefined;
    await stored.put(3);
    await run();
    repositories.failure = new EngineError("manifest", "Secret is missing");
    await expect(run()).rejects.toThrow("Secret is missing");

    expect(window()).toMatchObject([{ error: "Secret is missing", readAt: expect.any(Date) as Date }]);
  });

  test("of a new cluster whose store nobody has written to yet are no trouble; later they are", async () => {
    const { repositories, run, window, completed } = await windows();
    repositories.failure = new EngineError("store-missing", "the directory does not exist");

    await run();
    expect(window()).toBeUndefined();

    completed("first", "20261101T000000");
    await expect(run()).rejects.toMatchObject({ code: "store-missing" });
  });

  test("of a new cluster with one store that nobody has written to yet are no trouble either", async () => {
    const { repositories, run, window, completed } = await windows();
    const store = await openFileStore({ root: "/nonexistent", allowMissingRoot: true });
    const { repository } = await storedBackups("late");
    repositories.all.push({
      repository: { ...repository, store },
      objectStore: "late",
      retentionPolicy: undefined,
      retentionIntervalSeconds: 1800,
    });

    await run();
    expect(window()).toBeUndefined();

    completed("first", "20261101T000000");
    await expect(run()).rejects.toMatchObject({ code: "store-missing" });
    expect(window()?.map(({ error }) => error)).toEqual([
      undefined,
      expect.stringContaining('"/nonexistent" does not exist'),
    ]);
  });

  test("are forgotten with their cluster", async () => {
    const { run, table, store } = await windows();
    await run();
    const before = store.require(cluster);
    store.delete(cluster);
    table.keep(store.list({ kind: "Cluster" }));

    expect(table.of(before)).toBeUndefined();
  });
});

describe("a Backup", () => {
  test("goes when its data is in no repository any more", async () => {
    const { stored, run, completed, names, events } = await windows();
    await stored.claim();
    completed("kept", await stored.put(8));
    completed("gone", "20261103T000000");

    await run();

    expect(names()).toEqual(["kept"]);
    expect(events()).toEqual([
      "Normal BackupExpired: Deleted: its data is in no repository of the cluster any more",
    ]);
  });

  test("stays while one repository has its data, whole or not", async () => {
    const { stored, repositories, store, run, completed, names } = await windows();
    const other = await storedBackups("other");
    repositories.all.push(clusterRepository(other));
    const plugin = {
      name: "barman-cloud.cloudnative-pg.io",
      parameters: { barmanObjectName: "store", additionalObjectNames: "other" },
    };
    store.update(clusterDraft({ plugins: [plugin] }));
    store.create(objectStoreDraft("/others", { name: "other" }));
    for (const each of [stored, other]) await each.claim();
    const id = await other.put(3);
    completed("first", id);
    await run();
    expect(names()).toEqual(["first"]);

    // Killed while it was being deleted: what is left is still something.
    await other.repository.store.put(`pg/base/${id}/data.tar`, [Buffer.from("x")]);
    await other.repository.store.delete([backupInfoKey(other.repository.server, id)]);
    await run();
    expect(names()).toEqual(["first"]);
    await other.repository.store.delete([`pg/base/${id}/data.tar`]);
    await run();
    expect(names()).toEqual([]);
  });

  test.each([
    ["is not this cluster's", { clusterUID: "another" }],
    ["failed", { phase: "failed" }],
    ["is still running", { phase: "started" }],
    [
      "went to a place that is none of the cluster's now",
      { destinations: [{ objectStore: "store", destinationPath: "/elsewhere", serverName: "pg" }] },
    ],
    [
      "went to such a place too",
      {
        destinations: [
          { objectStore: "store", destinationPath: "/backups", serverName: "pg" },
          { objectStore: "other", destinationPath: "/elsewhere", serverName: "pg" },
        ],
      },
    ],
    ["does not say where it went", { destinations: undefined }],
  ])("stays when it %s", async (_title, status) => {
    const { stored, run, completed, names } = await windows();
    await stored.claim();
    completed("first", "20261103T000000", status);
    await run();

    expect(names()).toEqual(["first"]);
  });

  test("stays when the repository looks empty, as the mount point of a missing disk does", async () => {
    const { run, completed, names } = await windows();
    completed("first", "20261103T000000");
    await run();

    expect(names()).toEqual(["first"]);
  });

  test("stays when a repository could not be read", async () => {
    const { stored, repositories, run, completed, names } = await windows();
    await stored.claim();
    const other = await storedBackups("other", (store) => faultyStore(store, { probability: 1 }));
    repositories.all.push(clusterRepository(other));
    completed("first", "20261103T000000");

    await expect(run()).rejects.toMatchObject({ code: "store-unavailable" });
    expect(names()).toEqual(["first"]);
  });

  test("that finishes while the repositories are read is not taken for gone", async () => {
    const { stored, repositories, run, completed, names } = await windows();
    await stored.claim();
    const { of } = repositories;
    repositories.of = async () => {
      completed("late", "20261120T000000");
      return of.call(repositories);
    };
    await run();

    expect(names()).toEqual(["late"]);
  });
});
