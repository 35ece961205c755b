import { expect, test } from "vitest";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import { resolveBootstrap } from "./bootstrap-resolution.ts";
import { viewCluster } from "./cluster-view.ts";

async function resolved(spec: Record<string, unknown>) {
  const { folder, open } = await temporaryResources();
  const store = await open();
  const cluster = store.create({
    apiVersion: "postgresql.cnpg.io/v1",
    kind: "Cluster",
    namespace: "default",
    name: "pg",
    content: { spec: { storage: { size: "1Gi" }, ...spec } },
  });
  return resolveBootstrap(viewCluster(cluster), {
    store,
    stateDirectory: folder,
    instancesOf: async () => [],
  });
}

const origin = [{ name: "origin", connectionParameters: { host: "db.example" } }];

test.each([
  [
    "a replica cluster, which would otherwise be promoted",
    { replica: { source: "origin", enabled: true }, bootstrap: { recovery: { source: "origin" } } },
    /^spec.replica: a cluster that follows another one is not supported yet/,
  ],
  [
    "the replica of a distributed topology",
    { replica: { source: "origin", primary: "origin" }, bootstrap: { recovery: { source: "origin" } } },
    /^spec.replica: /,
  ],
  [
    "a copy of a server from elsewhere",
    { bootstrap: { pg_basebackup: { source: "origin" } } },
    /^external cluster "origin" is at host "db.example", which is no Cluster's: /,
  ],
  [
    "a source without a store",
    { bootstrap: { recovery: { source: "origin" } } },
    /^external cluster "origin" has no store to recover from/,
  ],
  [
    "an image that does not say its version",
    { imageName: "postgres:latest" },
    /does not say which PostgreSQL it is/,
  ],
])("%s is said to be impossible, and nothing is made of it", async (_what, spec, problem) => {
  const found = await resolved({ externalClusters: origin, ...spec });

  expect(found.kind === "missing" ? found.problems.join() : found).toMatch(problem);
});

test("the primary of a distributed topology is an ordinary cluster", async () => {
  const found = await resolved({ replica: { source: "origin", primary: "pg" }, externalClusters: origin });

  expect(found).toMatchObject({ kind: "ok", value: { bootstrap: { kind: "initdb" } } });
});
