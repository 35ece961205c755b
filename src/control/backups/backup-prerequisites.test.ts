import { describe, expect, test } from "vitest";
import { barmanPlugin } from "../../manifest/lint/cluster-stores.ts";
import type { ClusterArchive } from "../clusters/cluster-archive.ts";
import { viewCluster } from "../clusters/cluster-view.ts";
import type { Resolution } from "../clusters/store-resolution.ts";
import type { BackupCluster } from "./backup-facts.ts";
import { checkPrerequisites } from "./backup-prerequisites.ts";
import { viewBackup } from "./backup-view.ts";
import { backupDraft, clusterDraft, resourceOf } from "./testing/sample-objects.ts";

const archive = {
  kind: "ok" as const,
  value: {
    serverName: "pg",
    policy: "all" as const,
    method: "plugin" as const,
    stores: [
      {
        name: "store",
        objectStore: "store",
        serverName: "pg",
        configuration: { destinationPath: "/backups" },
        retentionPolicy: undefined,
        retentionIntervalSeconds: 1800,
        environment: {},
      },
    ],
  },
};

function check(
  backup: Readonly<Record<string, unknown>>,
  cluster: Readonly<Record<string, unknown>> = {},
  more: { readonly annotations?: Record<string, string>; readonly archive?: Resolution<ClusterArchive> } = {},
) {
  const resource = resourceOf(clusterDraft(cluster, more.annotations));
  const facts: BackupCluster = {
    uid: resource.metadata.uid,
    settings: { kind: "ok", value: { view: viewCluster(resource), archive: more.archive ?? archive } },
    currentPrimary: "pg-1",
    archivingTrouble: undefined,
    isUpgrading: false,
  };
  const found = checkPrerequisites(viewBackup(resourceOf(backupDraft("b", backup))), facts);
  return found.kind === "met" ? found.method : found;
}

const plugin = { method: "plugin", pluginConfiguration: { name: barmanPlugin } };
const inTree = { plugins: [], backup: { barmanObjectStore: { destinationPath: "/backups" } } };

describe("the method of a backup", () => {
  test.each([
    ["is the plugin when the cluster has only that", {}, {}, "plugin"],
    ["is in-tree when the cluster has only that", {}, inTree, "barmanObjectStore"],
    [
      "is in-tree, CloudNativePG's default, when the cluster has both",
      {},
      { backup: inTree.backup },
      "barmanObjectStore",
    ],
    ["is what it says", plugin, { backup: inTree.backup }, "plugin"],
  ])("%s", (_title, backup, cluster, method) => {
    expect(check(backup, cluster)).toBe(method);
  });
});

describe("a backup that cannot be taken", () => {
  test.each([
    [
      "of a cluster without plugin, by plugin",
      plugin,
      { plugins: [] },
      "ClusterHasNoBackupExecutorPlugin",
      "cannot proceed with the backup as the cluster has no plugin configured",
    ],
    [
      "by a plugin that is switched off",
      plugin,
      { plugins: [{ name: barmanPlugin, enabled: false }] },
      "ClusterHasNoBackupExecutorPlugin",
      "cannot proceed with the backup as the cluster has no plugin configured",
    ],
    [
      "by a plugin that the cluster does not list",
      { method: "plugin", pluginConfiguration: { name: "other.example" } },
      {},
      "ClusterHasNoBackupExecutorPlugin",
      'cluster "pg" has no plugin "other.example"',
    ],
    [
      "by a plugin that is another's",
      { method: "plugin", pluginConfiguration: { name: "other.example" } },
      { plugins: [{ name: "other.example" }] },
      "ClusterHasNoBackupExecutorPlugin",
      'plugin "other.example" is not run here, only "barman-cloud.cloudnative-pg.io"',
    ],
    [
      "in-tree, said by name, with the plugin only",
      { method: "barmanObjectStore" },
      {},
      "ClusterHasBackupConfigured",
      "cannot proceed with the backup as the cluster has no backup section",
    ],
    [
      "of a cluster with nothing",
      {},
      { plugins: [] },
      "ClusterHasBackupConfigured",
      "cannot proceed with the backup as the cluster has no backup section",
    ],
    [
      "of a cluster with an empty backup section",
      {},
      { plugins: [], backup: {} },
      "ClusterHasNoBarmanSection",
      "no barmanObjectStore section defined on the target cluster",
    ],
    [
      "by snapshot",
      { method: "volumeSnapshot" },
      inTree,
      "ClusterHasNoVolumeSnapshotCRD",
      "cannot proceed with the backup as there are no volume snapshots on one machine",
    ],
  ])("%s", (_title, backup, cluster, reason, message) => {
    expect(check(backup, cluster)).toEqual({ kind: "failed", reason, message });
  });

  test("of a hibernated cluster", () => {
    expect(check({}, {}, { annotations: { "cnpg.io/hibernation": "on" } })).toEqual({
      kind: "failed",
      reason: "ClusterIsHibernated",
      message: "cannot backup a hibernated cluster",
    });
  });

  test("by a plugin without a store", () => {
    const none: Resolution<ClusterArchive> = { kind: "ok", value: { ...archive.value, stores: [] } };

    expect(check({}, {}, { archive: none })).toMatchObject({
      kind: "failed",
      message: "no reference to barmanObjectName have been included",
    });
  });

  test("because it does not say by which plugin", () => {
    expect(check({ method: "plugin" })).toEqual({
      kind: "invalid",
      message: "spec.pluginConfiguration: cannot be empty when the backup method is plugin",
    });
  });

  test("because it has a field that is none", () => {
    expect(check({ target: "standby" })).toMatchObject({ kind: "invalid" });
  });
});

test("a backup of a cluster whose store is missing waits for it", () => {
  const missing: Resolution<ClusterArchive> = {
    kind: "missing",
    problems: ['ObjectStore "store" is not in namespace "production"'],
  };

  expect(check({}, {}, { archive: missing })).toEqual({
    kind: "waiting",
    message: 'ObjectStore "store" is not in namespace "production"',
  });
});
