import { expect, test } from "vitest";
import { z } from "zod";
import { checkSchema } from "../check-schema.ts";
import { formatPath } from "../manifest-object.ts";
import { restoreDrill } from "./restore-drill.ts";
import { server } from "./server.ts";

const head = (kind: string) => ({ apiVersion: "tidemark.dev/v1alpha1", kind, metadata: { name: "main" } });
const smallest = { dataDirectory: "/var/lib/postgresql/17/main", stores: [{ name: "r2" }] };

function problems(kind: "Server" | "RestoreDrill", spec: unknown): readonly string[] {
  const schema = kind === "Server" ? server : restoreDrill;
  return checkSchema(schema, { ...head(kind), spec }).map((problem) =>
    problem.kind === "bad-value"
      ? `${formatPath(problem.path)}: ${problem.message}`
      : `${problem.kind} ${formatPath(problem.path)}`,
  );
}

test("a Server with all that it can have, and one with as little as it needs", () => {
  expect(problems("Server", smallest)).toEqual([]);
  expect(
    problems("Server", {
      dataDirectory: "/var/lib/postgresql/17/main",
      binDirectory: "/usr/lib/postgresql/17/bin",
      spoolDirectory: "/var/lib/postgresql/tidemark",
      connection: {
        host: "db.example.com",
        port: 5432,
        user: "backup",
        database: "postgres",
        password: { name: "backup-password", key: "password" },
        sslMode: "verify-full",
        sslRootCert: { name: "ca", key: "ca.crt" },
      },
      stores: [{ name: "r2", serverName: "main" }, { name: "minio" }],
      archivePolicy: 1,
      wal: { compression: "zstd", maxParallel: 4 },
      backup: { compression: "gzip", jobs: 2, immediateCheckpoint: true },
      schedules: [{ name: "nightly", schedule: "0 0 3 * * *", immediate: true, suspend: false }],
      retentionPolicy: "30d",
    }),
  ).toEqual([]);
});

test.each([
  [{ dataDirectory: "data" }, "spec.dataDirectory: not a path from the root on"],
  [{ stores: [] }, "spec.stores: at least one store is needed"],
  [
    { archivePolicy: true },
    "spec.archivePolicy: neither all, nor any, nor a number of stores, nor names of them",
  ],
  [{ archivePolicy: 0 }, "spec.archivePolicy: Too small: expected number to be >=1"],
  [
    { stores: [{ name: "r2", serverName: "a/b" }] },
    "spec.stores[0].serverName: not 1 to 128 letters, digits, dots, dashes and underscores that begin with a letter or digit",
  ],
  [
    {
      schedules: [
        { name: "a", schedule: "@daily" },
        { name: "a", schedule: "@hourly" },
      ],
    },
    'spec.schedules[1].name: there are two called "a"',
  ],
  [{ connection: { passwordSecret: "x" } }, "unknown-field spec.connection.passwordSecret"],
  [{ connection: { password: "hunter2" } }, "spec.connection.password: expected object, received string"],
])("a Server with %j is refused", (change, problem) => {
  expect(problems("Server", { ...smallest, ...change })).toEqual([problem]);
});

test("bzip2 is not among the codecs: nothing writes it", () => {
  expect(problems("Server", { ...smallest, wal: { compression: "bzip2" } })).toEqual([
    expect.stringMatching(/^spec\.wal\.compression: expected one of "none"\|.*"zstd"/),
  ]);
});

const drill = { cluster: { name: "pg" }, schedule: "0 0 4 * * 0" };

test.each([
  [{}],
  [{ target: "latest" }],
  [{ target: "-1h30m" }],
  [{ target: { targetTime: "2026-01-15T14:30:00Z", exclusive: true } }],
  [
    {
      checks: [{ name: "orders", database: "shop", sql: "SELECT count(*) FROM orders", result: 42 }],
      keepOnFailure: true,
      timeout: "2h",
      temporaryDirectory: "/var/tmp",
      suspend: true,
      immediate: true,
    },
  ],
])("a RestoreDrill with %j is right", (change) => {
  expect(problems("RestoreDrill", { ...drill, ...change })).toEqual([]);
});

test.each([
  [{ server: { name: "main" } }, "spec: exactly one of cluster and server is to be given"],
  [{ cluster: undefined }, "spec: exactly one of cluster and server is to be given"],
  [
    { target: "yesterday" },
    "spec.target: neither latest, nor a time before now such as -10m, nor the fields of a recoveryTarget",
  ],
  [{ target: { targettime: "2026-01-15T14:30:00Z" } }, "unknown-field spec.target.targettime"],
  [{ checks: [{ sql: "SELECT 1" }] }, "missing-field spec.checks[0].database"],
  [
    { checks: [{ database: "a", sql: "SELECT 1", minRows: 0 }] },
    "spec.checks[0].minRows: Too small: expected number to be >=1",
  ],
  [{ timeout: "0s" }, "spec.timeout: not a duration of more than nothing"],
  [{ timeout: "soon" }, "spec.timeout: not a duration such as 90s or 1h30m"],
])("a RestoreDrill with %j is refused", (change, problem) => {
  expect(problems("RestoreDrill", { ...drill, ...change })).toEqual([problem]);
});

test("both have a JSON Schema for editors, which knows no further fields", () => {
  for (const schema of [server, restoreDrill]) {
    expect(z.toJSONSchema(schema, { io: "input" })).toMatchObject({
      required: ["apiVersion", "kind", "metadata", "spec"],
      properties: { spec: { type: "object", additionalProperties: false } },
    });
  }
});
