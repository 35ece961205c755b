import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseManifests } from "../parse.ts";
import { allRules } from "./all-rules.ts";
import { runRules } from "./run-rules.ts";

/** What the rules say, but for what is only worth knowing; sorted. */
function lint(text: string, now?: Date): readonly string[] {
  return runRules(parseManifests([{ path: "a.yaml", text }]), allRules, now === undefined ? {} : { now })
    .filter(({ severity }) => severity !== "info")
    .map(({ severity, rule, field, message }) => `${severity} ${rule} ${field}: ${message}`)
    .toSorted();
}

const store = (name: string, retention = "retentionPolicy: 30d") => `
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata: {name: ${name}}
spec:
  ${retention}
  configuration: {destinationPath: "s3://${name}/", s3Credentials: {inheritFromIAMRole: true}}
---`;

const server = (spec: string, name = "main") => `
apiVersion: tidemark.dev/v1alpha1
kind: Server
metadata: {name: ${name}}
spec:
  dataDirectory: /var/lib/postgresql/17/${name}
  ${spec}
---`;

const cluster = (serverName: string) => `
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: pg}
spec:
  storage: {size: 10Gi}
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      parameters: {barmanObjectName: r2, serverName: ${serverName}}
---`;

const drill = (spec: string) => `
apiVersion: tidemark.dev/v1alpha1
kind: RestoreDrill
metadata: {name: weekly}
spec:
  schedule: "0 0 4 * * 0"
  checks: [{database: shop, sql: SELECT 1, result: 1}]
  ${spec}
---`;

test("a Server uses its stores, and its retention policy is one", () => {
  expect(lint(store("r2", "") + server("stores: [{name: r2}]\n  retentionPolicy: 30d"))).toEqual([]);
  expect(lint(store("r2", "") + server("stores: [{name: r2}]"))).toEqual([
    "warning no-retention spec: it has no retentionPolicy: nothing is ever deleted",
  ]);
});

test("a store that nobody uses can become a Server's further one", () => {
  const text = store("r2") + store("minio") + server("stores: [{name: r2}]");
  const [report] = runRules(parseManifests([{ path: "a.yaml", text }]), allRules).filter(
    ({ rule }) => rule === "unused-store",
  );

  expect(report?.hint).toBe(
    'To make it a further repository of Server "main": add {name: minio} to spec.stores',
  );
});

test("a Server and a Cluster of one name in one store would write into one archive", () => {
  const text = store("r2") + cluster("main") + server("stores: [{name: r2}]");

  expect(lint(text)).toEqual([
    'error two-writers spec.stores[0]: it writes to s3://r2/ as server "main", and so does Cluster default/pg',
  ]);
  expect(lint(store("r2") + cluster("pg") + server("stores: [{name: r2}]"))).toEqual([]);
});

test("a Cluster may be restored from a Server's archive, by its name there", () => {
  const restored = `
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: pg-restored}
spec:
  storage: {size: 10Gi}
  bootstrap: {recovery: {source: main}}
  externalClusters:
    - name: main
      plugin:
        name: barman-cloud.cloudnative-pg.io
        parameters: {barmanObjectName: r2, serverName: main}
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      parameters: {barmanObjectName: r2}
---`;

  expect(lint(store("r2") + server("stores: [{name: r2}]") + restored)).toEqual([]);
  expect(
    lint(
      store("r2") +
        server("stores: [{name: r2, serverName: other}]") +
        restored.replace("serverName: main", "serverName: othr"),
    ),
  ).toEqual([
    'warning missing-server-name spec.externalClusters[0].plugin: source "main" is read below "othr", where no cluster of these manifests writes',
  ]);
});

test("what a Server and a RestoreDrill refer to must be there", () => {
  expect(
    lint(server("stores: [{name: r2}]\n  connection: {password: {name: owner, key: password}}")),
  ).toEqual([
    'warning missing-reference spec.connection.password: Secret "owner" is not in namespace "default" of these manifests',
    'warning missing-reference spec.stores[0].name: ObjectStore "r2" is not in namespace "default" of these manifests',
  ]);
  expect(lint(drill("cluster: {name: pg}"))).toEqual([
    'warning missing-reference spec.cluster.name: Cluster "pg" is not in namespace "default" of these manifests',
  ]);
  expect(lint(drill("server: {name: main}"))).toEqual([
    'warning missing-reference spec.server.name: Server "main" is not in namespace "default" of these manifests',
  ]);
});

test("statements for a new database may stand in Secrets and ConfigMaps, which must be there with the key", () => {
  const text = `${store("r2")}
apiVersion: v1
kind: ConfigMap
metadata: {name: sql}
data: {first.sql: SELECT 1}
---
${cluster("pg").replace(
  "storage:",
  "bootstrap: {initdb: {postInitSQLRefs: {configMapRefs: [{name: sql, key: first.sq}], secretRefs: [{name: none, key: a}]}}}\n  storage:",
)}`;

  expect(lint(text)).toEqual([
    'error missing-reference spec.bootstrap.initdb.postInitSQLRefs.configMapRefs[0]: ConfigMap "sql" has no key "first.sq"',
    'warning missing-reference spec.bootstrap.initdb.postInitSQLRefs.secretRefs[0]: Secret "none" is not in namespace "default" of these manifests',
  ]);
});

test("schedules have six fields everywhere", () => {
  const known = store("r2") + server("stores: [{name: r2}]");
  expect(lint(known + drill("server: {name: main}").replace("0 0 4 * * 0", "0 4 * * *"))).toEqual([
    expect.stringMatching(/^error five-field-schedule spec\.schedule: .* the first is read as the second/),
  ]);
  const schedules = (schedule: string) =>
    lint(
      store("r2") + server(`stores: [{name: r2}]\n  schedules: [{name: nightly, schedule: "${schedule}"}]`),
    );
  expect(schedules("0 3 * * *")).toEqual([
    expect.stringMatching(/^error five-field-schedule spec\.schedules\[0\]\.schedule: /),
  ]);
  expect(schedules("0 0 3 31 2 *")).toEqual([
    'error bad-schedule spec.schedules[0].schedule: schedule "0 0 3 31 2 *" never fires: there is no such day',
  ]);
  expect(schedules("0 0 3 * * *")).toEqual([]);
});

test("a moment that has not come yet is no target, where it is known what time it is", () => {
  const text =
    store("r2") +
    server("stores: [{name: r2}]") +
    drill('server: {name: main}\n  target: {targetTime: "2026-01-15T14:30:00+02:00"}');
  const isFuture = (now?: Date) => lint(text, now).filter((line) => line.includes("future-target"));

  expect(isFuture()).toEqual([]);
  expect(isFuture(new Date("2026-01-15T12:30:00Z"))).toEqual([]);
  expect(isFuture(new Date("2026-01-15T12:29:59Z"))).toEqual([
    "error future-target spec.target.targetTime: the target time 2026-01-15 12:30:00.000000+00:00 has not come yet",
  ]);
});

test("recovery targets of a drill have the same forms as a Cluster's", () => {
  const text =
    store("r2") +
    server("stores: [{name: r2}]") +
    drill('server: {name: main}\n  target: {targetTime: yesterday, targetLSN: "0/3000060"}');

  expect(lint(text)).toEqual([
    "error bad-recovery-target spec.target.targetLSN: recovery target options are mutually exclusive: targetTime, targetLSN",
    'error bad-recovery-target spec.target.targetTime: "yesterday" is not a time; write 2026-01-15T14:30:00Z',
    "warning fixed-drill-target spec.target.targetTime: targetTime is the same at each drill, and out of reach once its backup has been expired",
  ]);
});

test("the examples of the pages are right, but for the stores that are not among them", async () => {
  const pages = await Promise.all(
    ["server.md", "external-secrets.md"].map(async (name) =>
      readFile(join(import.meta.dirname, "../../../docs", name), "utf8"),
    ),
  );
  const manifests = pages
    .flatMap((page) => [...page.matchAll(/```yaml\n(apiVersion:[^]*?)```/g)].map(([, text]) => text))
    .join("---\n");

  expect(lint(manifests)).toEqual([
    'warning missing-reference spec.stores[0].name: ObjectStore "r2" is not in namespace "default" of these manifests',
    'warning missing-reference spec.stores[1].name: ObjectStore "minio" is not in namespace "default" of these manifests',
  ]);
});
