import { describe, expect, test } from "vitest";
import { backupDraft, clusterDraft, objectStoreDraft } from "../backups/testing/sample-objects.ts";
import { ManualClock } from "../loop/testing/manual-clock.ts";
import { WindowTable, type RepositoryWindow } from "../maintenance/cluster-windows.ts";
import { serverDraft } from "../servers/testing/sample-server.ts";
import { keyOf, type ResourceDraft, type ResourceKey } from "../resources/resource.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { ObjectStoreReconciler } from "./object-store-reconciler.ts";

const key: ResourceKey = { kind: "ObjectStore", namespace: "production", name: "store" };

const s3 = {
  destinationPath: "s3://bucket/pg",
  s3Credentials: {
    accessKeyId: { name: "keys", key: "id" },
    secretAccessKey: { name: "keys", key: "secret" },
  },
};

function secret(data: Readonly<Record<string, string>>): ResourceDraft {
  const encoded = Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString("base64")]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    namespace: "production",
    name: "keys",
    content: { type: "Opaque", data: Object.fromEntries(encoded) as Record<string, string> },
  };
}

function window(more: Partial<RepositoryWindow> = {}): RepositoryWindow {
  return {
    repository: "store",
    objectStore: "store",
    serverName: "pg",
    readAt: new Date("2026-11-21T12:00:00Z"),
    firstRecoverabilityPoint: new Date("2026-11-03T00:00:00Z"),
    lastSuccessfulBackupTime: new Date("2026-11-20T00:00:00Z"),
    error: undefined,
    ...more,
  };
}

async function control(...drafts: readonly ResourceDraft[]) {
  const clock = new ManualClock("2026-11-21T12:00:00.000Z");
  const store = await (await temporaryResources()).open(clock);
  const windows = new WindowTable();
  const reconciler = new ObjectStoreReconciler({ store, windows, clock });
  for (const draft of drafts) store.create(draft);
  return {
    clock,
    store,
    windows,
    reconciler,
    status: async () => {
      await reconciler.reconcile(key);
      return store.require(key).status ?? {};
    },
    conditions: async () => {
      await reconciler.reconcile(key);
      const conditions = store.require(key).status?.["conditions"] as Record<string, string>[];
      return conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`);
    },
  };
}

describe("an ObjectStore", () => {
  test("says which Secrets and keys it lacks, and that they are there as soon as they are", async () => {
    const draft = objectStoreDraft("", { configuration: s3 });
    const { store, reconciler, conditions } = await control(draft, clusterDraft());
    expect((await conditions())[0]).toBe(
      'Ready False Incomplete: the access key of store "store": Secret "keys" is not in namespace "production"; the secret key of store "store": Secret "keys" is not in namespace "production"',
    );

    const partial = store.create(secret({ id: "me" }));
    expect(reconciler.affectedBy({ type: "added", resource: partial })).toEqual([key]);
    expect((await conditions())[0]).toBe(
      'Ready False Incomplete: the secret key of store "store": Secret "keys" has no key "secret", only "id"',
    );

    store.update(secret({ id: "me", secret: "hush-hush" }));
    expect((await conditions())[0]).toBe("Ready True Ready: Everything that it refers to is there");
    expect(JSON.stringify(store.require(key))).not.toContain("hush");
  });

  test("says who uses it", async () => {
    const { store, conditions } = await control(objectStoreDraft("/backups"));
    expect((await conditions())[1]).toBe(
      "InUse False NoCluster: No cluster or server uses it: nothing is written to it, and no retention applies",
    );

    const source = {
      plugins: [],
      externalClusters: [
        {
          name: "origin",
          plugin: { name: "barman-cloud.cloudnative-pg.io", parameters: { barmanObjectName: "store" } },
        },
      ],
    };
    store.create({ ...clusterDraft(source), name: "restored" });
    expect((await conditions())[1]).toBe("InUse True Source: Only read from, by restored");

    store.create(clusterDraft());
    const second = {
      name: "barman-cloud.cloudnative-pg.io",
      parameters: { barmanObjectName: "other", additionalObjectNames: "another, store" },
    };
    store.create({ ...clusterDraft({ plugins: [second] }), name: "two" });
    expect((await conditions())[1]).toBe("InUse True Destination: Written to by pg, two");
  });

  test("remembers when a backup of a Server into it failed last, but for one that never began", async () => {
    const { store, status } = await control(objectStoreDraft("/backups"));
    const server = store.create(serverDraft());
    const failed = { name: "a", createdAt: "x", phase: "failed", stoppedAt: "2026-11-21T02:00:00Z" };
    const began = { ...failed, name: "b", startedAt: "x", stoppedAt: "2026-11-21T01:00:00Z" };
    store.setStatus(keyOf(server), { backups: [failed, began] }, {});

    expect((await status())["serverRecoveryWindow"]).toEqual({
      main: { lastFailedBackupTime: "2026-11-21T01:00:00Z" },
    });
  });

  test("is used by a Server, under the name that it has there", async () => {
    const { store, windows, status, conditions } = await control(objectStoreDraft("/backups"));
    const server = store.create(serverDraft({ stores: [{ name: "store", serverName: "main-2" }] }));
    windows.set(server, [window({ serverName: "main-2" })]);

    expect((await conditions())[1]).toBe("InUse True Destination: Written to by main");
    expect((await status())["serverRecoveryWindow"]).toMatchObject({
      "main-2": { firstRecoverabilityPoint: "2026-11-03T00:00:00Z" },
    });
  });

  test("shows what can be restored from it, by server name", async () => {
    const { store, windows, status, conditions } = await control(
      objectStoreDraft("/backups"),
      clusterDraft(),
    );
    const cluster = store.require({ ...key, kind: "Cluster", name: "pg" });
    expect((await status())["serverRecoveryWindow"]).toBeUndefined();
    windows.set(cluster, [window(), window({ objectStore: "other", serverName: "elsewhere" })]);

    expect((await status())["serverRecoveryWindow"]).toEqual({
      pg: {
        firstRecoverabilityPoint: "2026-11-03T00:00:00Z",
        lastSuccessfulBackupTime: "2026-11-20T00:00:00Z",
      },
    });
    expect((await conditions())[0]).toBe("Ready True Ready: The store can be read");
  });

  test("keeps what it showed while it cannot be read, after a restart, and when its cluster is gone", async () => {
    const { store, windows, status, conditions } = await control(
      objectStoreDraft("/backups"),
      clusterDraft(),
    );
    const cluster = store.require({ ...key, kind: "Cluster", name: "pg" });
    windows.set(cluster, [window()]);
    const { serverRecoveryWindow } = await status();

    const unread = {
      readAt: undefined,
      firstRecoverabilityPoint: undefined,
      lastSuccessfulBackupTime: undefined,
    };
    windows.set(cluster, [window({ ...unread, error: "no answer" })]);
    expect((await conditions())[0]).toBe("Ready False StoreFailing: no answer");
    expect((await status())["serverRecoveryWindow"]).toEqual(serverRecoveryWindow);
    windows.keep([]);
    expect((await status())["serverRecoveryWindow"]).toEqual(serverRecoveryWindow);
    store.delete(keyOf(cluster));
    expect((await status())["serverRecoveryWindow"]).toEqual(serverRecoveryWindow);
  });

  test("remembers when a backup into it failed last, also when the Backup is gone", async () => {
    const { store, reconciler, status } = await control(objectStoreDraft("/backups"), clusterDraft());
    const failed = (name: string, stoppedAt: string, objectStore: string | undefined) => {
      const resource = store.create(backupDraft(name));
      const destinations = [{ objectStore, destinationPath: "/backups", serverName: "pg" }];
      const written = store.setStatus(
        keyOf(resource),
        { phase: "failed", stoppedAt, ...(objectStore === undefined ? {} : { destinations }) },
        {},
      );
      return written!;
    };
    failed("a", "2026-11-21T02:00:00Z", "store");
    const resource = failed("b", "2026-11-21T03:00:00Z", "store");
    failed("c", "2026-11-21T04:00:00Z", "other");
    // It is complete, but not here.
    const partial = store.create(backupDraft("e"));
    const place = { destinationPath: "/backups", serverName: "pg" };
    store.setStatus(
      keyOf(partial),
      {
        phase: "completed",
        stoppedAt: "2026-11-21T03:30:00Z",
        destinations: [
          { ...place, objectStore: "store", error: "no answer" },
          { ...place, objectStore: "other" },
        ],
      },
      {},
    );
    // It was refused before anybody asked a store.
    failed("d", "2026-11-21T05:00:00Z", undefined);
    expect(reconciler.affectedBy({ type: "modified", resource })).toEqual([key]);
    const expected = { pg: { lastFailedBackupTime: "2026-11-21T03:30:00Z" } };
    expect((await status())["serverRecoveryWindow"]).toEqual(expected);
    store.delete({ ...key, kind: "Backup", name: "e" });
    store.delete({ ...key, kind: "Backup", name: "b" });

    expect((await status())["serverRecoveryWindow"]).toEqual(expected);
  });

  test("is not looked at for every step of a backup, and not when it is gone", async () => {
    const { store, reconciler } = await control(objectStoreDraft("/backups"));
    const backup = store.create(backupDraft("a"));
    expect(reconciler.affectedBy({ type: "added", resource: backup })).toEqual([]);
    store.delete(key);

    expect(await reconciler.reconcile(key)).toBe("never");
  });
});
