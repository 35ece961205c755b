import { expect, test } from "vitest";
import type { ClusterObject } from "./cluster-resource.ts";
import { restoredCluster, type RestoredFrom } from "./restored-cluster.ts";

const origin: ClusterObject = {
  metadata: { name: "pg", namespace: "prod", uid: "u1" },
  spec: { storage: { size: "1Gi" } },
  status: { phase: "", instances: 3, readyInstances: 3, conditions: [] },
};
const from: RestoredFrom = {
  objectStore: "store",
  furtherObjectStores: [],
  serverName: "pg",
  backupId: "20261121T220304",
  isBackupGiven: false,
  timeline: "latest",
  major: 17,
};

function recoveryOf(target: Parameters<typeof restoredCluster>[2], changes: Partial<RestoredFrom>): unknown {
  return restoredCluster(origin, "new", target, { ...from, ...changes })["spec"];
}

test("the end of the archive needs no target", () => {
  expect(recoveryOf({ kind: "latest" }, {})).toMatchObject({ bootstrap: { recovery: { source: "pg" } } });
  expect(JSON.stringify(recoveryOf({ kind: "latest" }, {}))).not.toContain("recoveryTarget");
});

test.each([
  [{ kind: "latest" } as const, {}],
  [
    { kind: "time", time: "2026-11-21 14:29:59+00:00", inclusive: true } as const,
    { targetTime: "2026-11-21T14:29:59+00:00" },
  ],
  [{ kind: "lsn", lsn: "0/4000000", inclusive: false } as const, { targetLSN: "0/4000000", exclusive: true }],
])("the backup and the timeline that were asked for are in the manifest with target %o", (target, fields) => {
  const spec = recoveryOf(target, { isBackupGiven: true, timeline: 2 });

  expect(spec).toMatchObject({
    bootstrap: {
      recovery: {
        source: "pg",
        recoveryTarget: { ...fields, backupID: "20261121T220304", targetTLI: "2" },
      },
    },
  });
});

test("a restored cluster archives to every store of its origin, below its own name", () => {
  const barman = "barman-cloud.cloudnative-pg.io";
  const own = { barmanObjectName: "first", additionalObjectNames: "second", archivePolicy: "any" };
  const plugins = [{ name: barman, isWALArchiver: true, parameters: { ...own, serverName: "pg-old" } }];

  expect(
    restoredCluster({ ...origin, spec: { ...origin.spec, plugins } }, "new", { kind: "latest" }, from)[
      "spec"
    ],
  ).toMatchObject({
    externalClusters: [{ plugin: { parameters: { barmanObjectName: "store", serverName: "pg" } } }],
    plugins: [{ name: barman, isWALArchiver: true, parameters: own }],
  });
});

test("an in-tree store is the source, and the destination below the new name", () => {
  const store = { destinationPath: "s3://bucket/pg", serverName: "pg-old" };
  const backup = { retentionPolicy: "30d", barmanObjectStore: store };

  const made = restoredCluster(
    { ...origin, spec: { ...origin.spec, backup } },
    "new",
    { kind: "latest" },
    { ...from, objectStore: null },
  )["spec"];

  expect(made).toMatchObject({
    externalClusters: [
      { name: "pg", barmanObjectStore: { destinationPath: "s3://bucket/pg", serverName: "pg" } },
    ],
    backup: { retentionPolicy: "30d", barmanObjectStore: { destinationPath: "s3://bucket/pg" } },
  });
  expect(JSON.stringify(made)).not.toContain("pg-old");
});

test("what the first store lacks comes from the others that could be read", () => {
  expect(recoveryOf({ kind: "latest" }, { furtherObjectStores: ["second", "third"] })).toMatchObject({
    externalClusters: [
      {
        plugin: {
          parameters: { barmanObjectName: "store", additionalObjectNames: "second, third", serverName: "pg" },
        },
      },
    ],
  });
});
