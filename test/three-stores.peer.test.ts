/** One cluster with stores of three kinds: a directory, a bucket of a real S3 server, a container of Azure's emulator. */
import { beforeAll, describe, expect, it } from "vitest";
import type { S3Access } from "./ceph/s3-service.ts";
import { freshBucket } from "./ceph/s3-service.ts";
import { sharedCephGateway } from "./ceph/shared-gateway.ts";
import { startAzurite, type Azurite } from "./support/azurite.ts";
import { controlPlane } from "./support/control-plane.ts";
import { cephPrograms, leftOut, reasonToSkip } from "./support/peer-programs.ts";
import { archived, contentsOf } from "./support/restorable.ts";
import { addRow, makeTables, readContents } from "./support/rows.ts";
import { until } from "./support/until.ts";

const skipped = await reasonToSkip(cephPrograms);
const stores = ["directory", "bucket", "container"] as const;

interface Reported {
  readonly status?: {
    readonly destinations?: readonly { readonly objectStore: string; readonly error?: string }[];
    readonly tidemark?: {
      readonly stores?: readonly {
        readonly name: string;
        readonly state: string;
        readonly backups?: number;
        readonly lastStoredWAL?: string;
      }[];
    };
  };
}

describe.skipIf(skipped !== undefined)(`a cluster with three kinds of store${leftOut(skipped)}`, () => {
  let gateway: S3Access;
  beforeAll(() => {
    gateway = sharedCephGateway();
  });

  it("has every backup and all WAL in each of them, each in its own form, and comes back from each alone", async () => {
    await using azurite = await startAzurite();
    await using plane = await controlPlane();
    const directory = await plane.folder.make("backups");
    const places = {
      directory,
      bucket: await freshBucket(gateway),
      container: await azurite.freshContainer(),
    };
    await plane.up(["-f", await plane.manifests("pg", manifests(places, gateway, azurite))]);
    await plane.healthy("pg");
    await plane.ok(["backup", "pg", "--backup-name", "first"]);
    await using origin = await plane.connect("pg");
    const sql = async (text: string) => origin.query<never>(text);
    await makeTables(sql);
    await addRow(sql, 1);
    const contents = await readContents(sql);
    await archived(plane, "pg", "default", sql);

    const { destinations } = (await plane.get<Reported>("backup", "first"))?.status ?? {};
    expect(destinations?.map(({ objectStore, error }) => [objectStore, error])).toEqual(
      stores.map((name) => [name, undefined]),
    );
    await until(async () => {
      const held = (await plane.get<Reported>("cluster", "pg"))?.status?.tidemark?.stores ?? [];
      const isWhole = ({ state, backups }: (typeof held)[number]) => state === "ok" && backups === 1;
      return held.length === 3 && held.every(isWhole) ? undefined : JSON.stringify(held);
    });
    const copies = stores.map((store) => copyFrom(store)).join("---\n");
    await plane.ok(["apply", "-f", await plane.manifests("copies", copies)]);

    for (const store of stores) {
      await plane.healthy(`from-${store}`);
      expect(await contentsOf(plane, `from-${store}`, "default")).toEqual(contents);
    }
  });
});

function manifests(
  { directory, bucket, container }: Readonly<Record<(typeof stores)[number], string>>,
  { endpoint, accessKeyId, secretAccessKey }: S3Access,
  azure: Azurite,
): string {
  return `
apiVersion: v1
kind: Secret
metadata:
  name: keys
stringData:
  id: ${accessKeyId}
  secret: ${secretAccessKey}
  account: ${azure.account}
  key: ${azure.key}
---
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: directory
spec:
  configuration:
    destinationPath: ${directory}
    data:
      immediateCheckpoint: true
---
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: bucket
spec:
  configuration:
    destinationPath: s3://${bucket}/pg
    endpointURL: ${endpoint}
    s3Credentials:
      accessKeyId:
        name: keys
        key: id
      secretAccessKey:
        name: keys
        key: secret
    wal:
      compression: gzip
    data:
      compression: gzip
---
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: container
spec:
  configuration:
    destinationPath: ${azure.endpoint}/${container}/pg
    azureCredentials:
      storageAccount:
        name: keys
        key: account
      storageKey:
        name: keys
        key: key
    wal:
      compression: zstd
    data:
      compression: lz4
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: pg
spec:
  instances: 1
  storage:
    size: 1Gi
  postgresql:
    parameters:
      track_commit_timestamp: "on"
  plugins:
    - name: barman-cloud.cloudnative-pg.io
      isWALArchiver: true
      parameters:
        barmanObjectName: directory
        additionalObjectNames: bucket, container
`;
}

function copyFrom(store: string): string {
  return `
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: from-${store}
spec:
  instances: 1
  storage:
    size: 1Gi
  postgresql:
    parameters:
      track_commit_timestamp: "on"
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
