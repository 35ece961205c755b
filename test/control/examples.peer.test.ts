import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Secret } from "../../src/common/log.ts";
import { openS3Store } from "../../src/storage/s3/s3-store.ts";
import { freshBucket, type S3Access } from "../ceph/s3-service.ts";
import { sharedCephGateway } from "../ceph/shared-gateway.ts";
import { controlPlane, exampleWith, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { cephPrograms, leftOut, reasonToSkip } from "../support/peer-programs.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";
import { archived, contentsOf } from "../support/restorable.ts";
import { until } from "../support/until.ts";

const skipped = await reasonToSkip(cephPrograms);
const namespace = "production";
const withCommitTimes = [
  '      max_connections: "100"',
  '      max_connections: "100"\n      track_commit_timestamp: "on"',
] as const;
const quickCheckpoint = [
  "    data:\n",
  "    tags:\n      team: data\n    historyTags:\n      kept: long\n    data:\n      immediateCheckpoint: true\n",
] as const;

interface BackupObject {
  readonly status?: { readonly backupId?: string };
}

describe.skipIf(skipped !== undefined)(`the examples, on a real S3 server${leftOut(skipped)}`, () => {
  let gateway: S3Access;
  beforeAll(() => {
    gateway = sharedCephGateway();
  });

  async function example(plane: ControlPlaneUnderTest, name: string, bucket: string): Promise<string> {
    return exampleWith(plane, name, [
      ["http://127.0.0.1:9000", gateway.endpoint],
      ["s3://backups/", `s3://${bucket}/`],
      ["put-your-access-key-here", gateway.accessKeyId],
      ["put-your-secret-key-here", gateway.secretAccessKey],
      withCommitTimes,
      quickCheckpoint,
    ]);
  }

  it("a cluster in a bucket comes back at a moment, and in another namespace as it is", async () => {
    await using plane = await controlPlane();
    const bucket = await freshBucket(gateway);
    await plane.up(["-f", await example(plane, "single-store", bucket)]);
    await plane.healthy("pg", namespace);
    await plane.completed("pg-first", namespace);
    await using origin = await plane.connect("pg", { namespace });
    const sql = async (text: string) => origin.query<never>(text);
    await makeTables(sql);
    const kept = await addRow(sql, 1);
    const atKept = await readContents(sql);
    await addRow(sql, 2);
    const atEnd = await readContents(sql);
    await archived(plane, "pg", namespace, sql);

    const moment = await example(plane, "restore-to-a-moment", bucket);
    await replaceIn(
      join(moment, "pg-restored.yaml"),
      "2026-01-15T14:30:00+00:00",
      kept.time.replace(" ", "T"),
    );
    await plane.ok(["apply", "-f", moment]);
    await plane.healthy("pg-restored", namespace);
    expect(await contentsOf(plane, "pg-restored", namespace)).toEqual(atKept);

    await plane.ok(["apply", "-f", await example(plane, "another-namespace", bucket)]);
    await plane.healthy("pg", "staging");
    expect(await contentsOf(plane, "pg", "staging")).toEqual(atEnd);
    expect(await readContents(sql)).toEqual(atEnd);
  });

  it("two stores both get every segment and every backup, and each is enough to restore from", async () => {
    await using plane = await controlPlane();
    const bucket = await freshBucket(gateway);
    await plane.up(["-f", await example(plane, "dual-store", bucket)]);
    await plane.healthy("pg", namespace);
    await plane.completed("pg-both", namespace);
    await using origin = await plane.connect("pg", { namespace });
    const sql = async (text: string) => origin.query<never>(text);
    await makeTables(sql);
    await addRow(sql, 1);
    const contents = await readContents(sql);
    await archived(plane, "pg", namespace, sql);

    const backup = await plane.get<BackupObject>("backup", "pg-both", namespace);
    for (const folder of ["wals", `base/${backup?.status?.backupId}`]) {
      const [first, second] = await Promise.all(
        ["pg", "second-copy/pg"].map(async (path) => objectNames(gateway, bucket, `${path}/pg/${folder}/`)),
      );
      expect(first?.length).toBeGreaterThan(1);
      expect(second).toEqual(first);
    }
    for (const store of ["first-store", "second-store"]) {
      const path = await plane.manifests(store, copyFrom(store));
      await plane.ok(["apply", "-f", path]);
      await plane.healthy(`from-${store}`, namespace);
      expect(await contentsOf(plane, `from-${store}`, namespace)).toEqual(contents);
    }
  });

  // Ceph takes the wish over TLS alone, and heeds it only with a key server beside it; what is sent is tested where it is made.
  it("what a store with an authority of its own is asked to encrypt is restored all the same", async () => {
    await using plane = await controlPlane();
    const bucket = await freshBucket(gateway);
    const manifests = await example(plane, "encrypted", bucket);
    await replaceIn(join(manifests, "pg.yaml"), `endpointURL: ${gateway.endpoint}`, trusted(gateway));
    const certificates = await readFile(gateway.caFile, "utf8");
    await plane.up(["-f", manifests, "-f", await plane.manifests("authority", authority(certificates))]);
    await plane.healthy("pg", namespace);
    await plane.completed("pg-first", namespace);
    await using origin = await plane.connect("pg", { namespace });
    const sql = async (text: string) => origin.query<never>(text);
    await makeTables(sql);
    await addRow(sql, 1);
    const contents = await readContents(sql);
    await archived(plane, "pg", namespace, sql);

    await plane.ok(["restore", "pg", "-n", namespace, "--to", "latest", "--as", "pg-copy", "--yes"]);

    await plane.healthy("pg-copy", namespace);
    expect(await contentsOf(plane, "pg-copy", namespace)).toEqual(contents);
  });

  it("a schedule takes a backup at once and says when the next ones are", async () => {
    await using plane = await controlPlane();
    const bucket = await freshBucket(gateway);
    await plane.up(["-f", await example(plane, "scheduled", bucket)]);
    await plane.healthy("pg", namespace);

    await until(
      async () => {
        const list = JSON.parse(await plane.ok(["get", "backups", "-n", namespace, "-o", "json"])) as {
          readonly items: readonly { readonly status?: { readonly phase?: string } }[];
        };
        return list.items[0]?.status?.phase === "completed" ? undefined : "there is no completed Backup";
      },
      { timeoutMs: 60_000, everyMs: 500 },
    );
    const schedule = await plane.get<{ readonly status: { readonly nextScheduleTimes: readonly string[] } }>(
      "scheduledbackup",
      "pg-backup",
      namespace,
    );
    expect(schedule?.status.nextScheduleTimes).toHaveLength(3);
    for (const time of schedule?.status.nextScheduleTimes ?? [])
      expect(time).toMatch(/T(00|06|12|18):00:00Z$/);
  });
});

/** The names of all objects below a prefix, in order, without it. */
async function objectNames(access: S3Access, bucket: string, prefix: string): Promise<string[]> {
  const { endpoint, accessKeyId, secretAccessKey } = access;
  const credentials = { accessKeyId, secretAccessKey: new Secret(secretAccessKey) };
  const store = await openS3Store({ bucket, endpoint, credentials });
  try {
    const entries = await Array.fromAsync(store.list(prefix));
    return entries.flatMap((entry) => (entry.kind === "object" ? [entry.key.slice(prefix.length)] : []));
  } finally {
    await store.close();
  }
}

const trusted = ({ tlsEndpoint }: S3Access): string =>
  `endpointURL: ${tlsEndpoint}\n    endpointCA:\n      name: authority\n      key: ca.crt`;

function authority(certificates: string): string {
  const data = Buffer.from(certificates).toString("base64");
  return `apiVersion: v1
kind: Secret
metadata:
  name: authority
  namespace: ${namespace}
data:
  ca.crt: ${data}
`;
}

async function replaceIn(path: string, what: string, by: string): Promise<void> {
  await writeFile(path, (await readFile(path, "utf8")).replace(what, by));
}

function copyFrom(store: string): string {
  return `apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: from-${store}
  namespace: ${namespace}
spec:
  instances: 1
  imageName: ghcr.io/cloudnative-pg/postgresql:17
  storage:
    size: 1Gi
  bootstrap:
    recovery:
      source: origin
  externalClusters:
    - name: origin
      plugin:
        name: barman-cloud.cloudnative-pg.io
        parameters:
          barmanObjectName: ${store}
          serverName: pg
`;
}
