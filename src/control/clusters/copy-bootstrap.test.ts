import { describe, expect, test } from "vitest";
import { sampleSpec } from "../../instance/process/testing/sample-spec.ts";
import type { ResourceStore } from "../resources/resource-store.ts";
import type { ResourceDraft, ResourceKey } from "../resources/resource.ts";
import { key } from "../resources/testing/drafts.ts";
import { temporaryResources } from "../resources/testing/temporary-resources.ts";
import type { InstanceFacts } from "./cluster-facts.ts";
import { phases } from "./cluster-status.ts";
import { viewCluster } from "./cluster-view.ts";
import { copyBootstrap } from "./copy-bootstrap.ts";
import { copiesToMake } from "./copy-source.ts";

const origin = key("Cluster", "pg", "default");
const copy = key("Cluster", "copy", "default");

function cluster(
  { namespace, name }: ResourceKey,
  spec: object,
  more: Partial<ResourceDraft> = {},
): ResourceDraft {
  const content = { spec: { storage: { size: "1Gi" }, ...spec } };
  return { apiVersion: "postgresql.cnpg.io/v1", kind: "Cluster", namespace, name, content, ...more };
}

function copySpec(connectionParameters: object | undefined, more: object = {}) {
  const external = {
    name: "origin",
    ...(connectionParameters === undefined ? {} : { connectionParameters }),
  };
  return { bootstrap: { pg_basebackup: { source: "origin" } }, externalClusters: [external], ...more };
}

function archivingTo(objectStore: string, serverName?: string) {
  const parameters = { barmanObjectName: objectStore, ...(serverName === undefined ? {} : { serverName }) };
  return { plugins: [{ name: "barman-cloud.cloudnative-pg.io", parameters }] };
}

function objectStore(store: ResourceStore, name: string, destinationPath: string): void {
  store.create({
    apiVersion: "barmancloud.cnpg.io/v1",
    kind: "ObjectStore",
    namespace: "default",
    name,
    content: { spec: { configuration: { destinationPath } } },
  });
}

const primary: InstanceFacts = {
  name: "pg-1",
  number: 1,
  spec: sampleSpec({ port: 5433, socketDirectory: "/run/pg-1" }),
  dataDirectory: "/state/pg-1/data",
  status: {
    pid: 10,
    startedAt: "2026-11-21T11:00:00Z",
    specVersion: 1,
    phase: "running",
    postgres: {
      pid: 11,
      version: "17.10",
      role: "primary",
      systemIdentifier: "7",
      timeline: 1,
      lsn: "0/3000000",
      startedAt: "2026-11-21T11:00:01Z",
      pendingRestart: false,
      replication: [],
    },
    backups: [],
  },
  isProcessAlive: true,
  isServerAlive: true,
  shutDownAtLsn: undefined,
  history: undefined,
};
const healthy = { phase: phases.healthy, currentPrimary: "pg-1", systemID: "7" };

async function openStore(): Promise<ResourceStore> {
  return (await temporaryResources()).open();
}

/** What comes of a copy, of an origin that is well unless told otherwise. */
async function resolved(
  spec: object,
  given: {
    readonly store?: ResourceStore;
    readonly origin?: object;
    readonly status?: object;
    readonly instances?: readonly InstanceFacts[];
  } = {},
) {
  const store = given.store ?? (await openStore());
  store.create(cluster(origin, given.origin ?? {}));
  store.setStatus(origin, { ...healthy, ...given.status }, {});
  return copyBootstrap(viewCluster(store.create(cluster(copy, spec))), {
    store,
    instancesOf: async ({ name }) => (name === "pg" ? (given.instances ?? [primary]) : []),
  });
}

describe("a copy of a running cluster", () => {
  test.each(["pg-rw", "pg-ro", "pg-r.default", "pg-rw.default.svc.cluster.local"])(
    "that is named %s comes from its primary, of the same major version",
    async (host) => {
      expect(await resolved(copySpec({ host, user: "streaming_replica" }))).toEqual({
        kind: "ok",
        value: {
          major: 17,
          bootstrap: { kind: "copy", host: "/run/pg-1", port: 5433, dataDirectory: "/state/pg-1/data" },
        },
      });
    },
  );

  test("gets its database and owner when they are named, and needs no certificates", async () => {
    const bootstrap = { pg_basebackup: { source: "origin", database: "shop", owner: "keeper" } };
    const sslKey = { name: "pg-replication", key: "tls.key" };
    const externalClusters = [
      { name: "origin", connectionParameters: { host: "pg-rw" }, sslKey, sslCert: sslKey },
    ];

    expect(await resolved({ bootstrap, externalClusters })).toMatchObject({
      value: { bootstrap: { application: { database: "shop", owner: "keeper" } } },
    });
  });

  test.each([
    [
      "a host from elsewhere",
      copySpec({ host: "db.example" }),
      /^external cluster "origin" is at host "db.example", which is no Cluster's: .* a Cluster of this control plane, named by its service/,
    ],
    ["an address", copySpec({ host: "pg-rw", hostaddr: "10.0.0.1" }), /is at host "10.0.0.1"/],
    [
      "an entry without a connection",
      copySpec(undefined),
      /^external cluster "origin" has no connectionParameters.host/,
    ],
    ["itself", copySpec({ host: "copy-rw" }), /at host "copy-rw", which is this Cluster's own$/],
    [
      "an entry that is not there",
      { ...copySpec({ host: "pg-rw" }), externalClusters: [] },
      /^external cluster "origin" is not in spec.externalClusters$/,
    ],
    [
      "another major version",
      copySpec({ host: "pg-rw" }, { imageName: "ghcr.io/cloudnative-pg/postgresql:16" }),
      /^imageName wants PostgreSQL 16, and Cluster default\/pg, which is to be copied, is of 17/,
    ],
  ])("is refused for %s", async (_what, spec, problem) => {
    const found = await resolved(spec);

    expect(found.kind === "missing" ? found.problems.join() : found).toMatch(problem);
  });

  test("says of certificates for a server from elsewhere that they do not help", async () => {
    const certificate = { name: "replication", key: "tls.crt" };
    const external = { name: "origin", connectionParameters: { host: "db.example" }, sslCert: certificate };
    const found = await resolved({ ...copySpec({}), externalClusters: [external] });

    expect(found).toMatchObject({
      kind: "missing",
      problems: [expect.stringMatching(/; nobody is reached with TLS client certificates either$/)],
    });
  });

  test.each([
    [
      "is not healthy",
      { status: { phase: phases.failingOver, phaseReason: "Failing over from pg-1 to pg-2" } },
      "Cluster default/pg, which is to be copied, is not healthy: Failing over (Failing over from pg-1 to pg-2)",
    ],
    [
      "has not come up",
      { status: { phase: undefined } },
      "Cluster default/pg, which is to be copied, has not been looked at yet",
    ],
    [
      "has lost its primary a moment ago",
      { instances: [{ ...primary, status: undefined }] },
      "Cluster default/pg, which is to be copied, has no primary that runs",
    ],
    [
      "has an archive that cannot be told",
      { origin: archivingTo("gone") },
      'where the origin archives cannot be told: ObjectStore "gone" is not in namespace "default"',
    ],
  ])("waits while its origin %s", async (_what, given, reason) => {
    expect(await resolved(copySpec({ host: "pg-rw" }), given)).toEqual({ kind: "waiting", reason });
  });

  test("waits for an origin that is not there, and is refused one that is being deleted", async () => {
    const store = await openStore();
    const view = viewCluster(store.create(cluster(copy, copySpec({ host: "pg-rw" }))));
    const ask = async () => copyBootstrap(view, { store, instancesOf: async () => [primary] });

    expect(await ask()).toEqual({
      kind: "waiting",
      reason: "Cluster default/pg, which is to be copied, is not there yet",
    });
    store.create(cluster(origin, {}, { finalizers: ["example.dev/keep"] }));
    store.delete(origin);
    expect(await ask()).toEqual({
      kind: "missing",
      problems: ["Cluster default/pg, which is to be copied, is being deleted"],
    });
  });

  test.each([
    ["its origin's own", archivingTo("local", "pg"), true],
    ["the same place by another name", archivingTo("again", "pg"), true],
    ["its own name there", archivingTo("local"), false],
    ["another place", archivingTo("elsewhere", "pg"), false],
  ])("never archives into its origin's archive: %s", async (_what, archive, isRefused) => {
    const store = await openStore();
    objectStore(store, "local", "/srv/backups");
    objectStore(store, "again", "file:///srv/backups/");
    objectStore(store, "elsewhere", "/srv/others");

    const found = await resolved(copySpec({ host: "pg-rw" }, archive), {
      store,
      origin: archivingTo("local"),
    });

    expect(found.kind).toBe(isRefused ? "missing" : "ok");
    if (found.kind !== "missing") return;
    expect(found.problems.join()).toMatch(
      /^it would archive to .*\/srv\/backups\/? as server "pg", where its origin does/,
    );
  });
});

test("what a Cluster is at is news to the copies of it that have no data yet, in any namespace", async () => {
  const store = await openStore();
  const make = (name: string, namespace: string, host: string, status?: Record<string, unknown>): void => {
    const named = key("Cluster", name, namespace);
    store.create(cluster(named, copySpec({ host })));
    if (status !== undefined) store.setStatus(named, status, {});
  };
  store.create(cluster(origin, {}));
  make("near", "default", "pg-rw");
  make("far", "staging", "pg-rw.default");
  make("made", "default", "pg-rw", { systemID: "7" });
  make("other", "staging", "pg-rw");
  make("foreign", "default", "db.example");
  store.create(
    cluster(key("Cluster", "broken", "default"), { ...copySpec({ host: "pg-rw" }), instances: "x" }),
  );

  const found = copiesToMake(store, origin).map(({ namespace, name }) => `${namespace}/${name}`);

  expect(found).toEqual(["default/near", "staging/far"]);
});
