import { expect, test } from "vitest";
import { parseClusterService } from "./cluster-service.ts";

test.each([
  ["pg-rw", "pg", undefined],
  ["pg-ro", "pg", undefined],
  ["pg-r", "pg", undefined],
  ["PG-RW.", "pg", undefined],
  ["pg-r-rw", "pg-r", undefined],
  ["a-rw", "a", undefined],
  ["pg-rw.production", "pg", "production"],
  ["pg-rw.production.svc", "pg", "production"],
  ["pg-rw.production.svc.", "pg", "production"],
  ["pg-rw.production.svc.cluster.local", "pg", "production"],
  ["pg-rw.production.svc.cluster.local.", "pg", "production"],
])("the host %s is that of Cluster %s in namespace %s", (host, cluster, namespace) => {
  expect(parseClusterService(host)).toEqual({ cluster, namespace });
});

test.each([
  "",
  "-rw",
  "pg",
  "pg-any",
  "rw",
  "localhost",
  "10.0.0.1",
  "::1",
  "/run/postgresql",
  "db.example.com",
  "pg-rw.db.example.com",
  "pg-rw.production.pod",
  "pg-rw..svc",
  "pg-rw.production.svc..local",
  "pg-rw,other-rw",
  "pg_1-rw",
])('the host "%s" is no Cluster\'s', (host) => {
  expect(parseClusterService(host)).toBeUndefined();
});
