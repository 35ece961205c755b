import type { InstanceSpec } from "../../../instance/instance-spec.ts";
import type { InstanceStatus } from "../../../instance/instance-status.ts";
import type { ClusterFacts, InstanceFacts } from "../cluster-facts.ts";
import { rememberedStatus } from "../cluster-status.ts";
import { viewCluster } from "../cluster-view.ts";
import { decideCluster } from "../decide-cluster.ts";
import { wantedSpec } from "../instance-specs.ts";

export const now = new Date("2026-11-21T12:00:00Z");

export function cluster(spec: Record<string, unknown> = {}, annotations: Record<string, string> = {}) {
  return viewCluster({
    apiVersion: "postgresql.cnpg.io/v1",
    kind: "Cluster",
    metadata: {
      name: "pg",
      namespace: "default",
      uid: "u1",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-11-21T11:00:00Z",
      labels: {},
      annotations,
      ownerReferences: [],
      finalizers: [],
    },
    content: { spec: { instances: 1, storage: { size: "1Gi" }, ...spec } },
    status: undefined,
  });
}

export const bootstrap = {
  kind: "initdb",
  application: { database: "app", owner: "app" },
  dataChecksums: true,
  encoding: "UTF8",
  arguments: [],
  postInitSql: [],
  postInitTemplateSql: [],
  postInitApplicationSql: [],
} as const satisfies Partial<InstanceSpec["bootstrap"]>;

export function specOf(
  view: ReturnType<typeof cluster>,
  number: number,
  role: InstanceSpec["role"],
): InstanceSpec {
  const place = { name: `pg-${number}`, port: 5431 + number, socketDirectory: `/run/${number}` };
  const spec = wantedSpec(view, {
    place,
    role,
    bootstrap: {
      ...bootstrap,
      arguments: [],
      postInitSql: [],
      postInitTemplateSql: [],
      postInitApplicationSql: [],
    },
    major: 17,
    binDirectory: undefined,
    archive: undefined,
    wanted: "running",
  });
  return { ...spec, version: 1 };
}

export function running(
  role: "primary" | "standby",
  lsn = "0/3000000",
  pendingRestart = false,
): InstanceStatus {
  return {
    pid: 10,
    startedAt: "2026-11-21T11:00:00Z",
    specVersion: 1,
    phase: "running",
    postgres: {
      pid: 11,
      version: "17.10",
      role,
      systemIdentifier: "7",
      timeline: 1,
      lsn,
      startedAt: "2026-11-21T11:00:01Z",
      pendingRestart,
      replication: role === "standby" ? [{ name: "primary", state: "streaming", lagBytes: 0 }] : [],
    },
    backups: [],
  };
}

export const failed: InstanceStatus = {
  pid: 10,
  startedAt: "2026-11-21T11:00:00Z",
  specVersion: 1,
  phase: "failed",
  bootstrapped: true,
  error: { code: "postgres-failed", message: "it does not start" },
  backups: [],
};

export function instance(
  view: ReturnType<typeof cluster>,
  number: number,
  changes: Partial<InstanceFacts> = {},
): InstanceFacts {
  const role: InstanceSpec["role"] =
    number === 1 ? { kind: "primary" } : { kind: "standby", host: "/run/1", port: 5432 };
  return {
    name: `pg-${number}`,
    number,
    spec: specOf(view, number, role),
    dataDirectory: `/data/${number}`,
    status: running(role.kind),
    isProcessAlive: true,
    isServerAlive: true,
    shutDownAtLsn: undefined,
    history: undefined,
    ...changes,
  };
}

export function decide(
  view: ReturnType<typeof cluster>,
  given: Partial<ClusterFacts> & { readonly status?: unknown } = {},
) {
  const { status, ...facts } = given;
  return decideCluster({
    view,
    remembered: rememberedStatus(status),
    archive: { kind: "ok", value: undefined },
    bootstrap: {
      kind: "ok",
      value: {
        bootstrap: {
          ...bootstrap,
          arguments: [],
          postInitSql: [],
          postInitTemplateSql: [],
          postInitApplicationSql: [],
        },
        major: 17,
        binDirectory: undefined,
      },
    },
    instances: [],
    now,
    ...facts,
  });
}
