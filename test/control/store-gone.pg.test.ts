/** A cluster of two stores whose policy is met by one, and the first of them goes away. */
import { rename } from "node:fs/promises";
import { expect, test } from "vitest";
import { controlPlane } from "../support/control-plane.ts";
import { archived, contentsOf } from "../support/restorable.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";
import { until } from "../support/until.ts";

interface Reported {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message: string;
    }[];
    readonly destinations?: readonly { readonly objectStore: string; readonly error?: string }[];
  };
}

test("a store that is gone is named, and keeps a cluster from nothing that the other one has", async () => {
  await using plane = await controlPlane();
  const [near, far] = [await plane.folder.make("near"), await plane.folder.make("far")];
  await plane.up(["-f", await plane.manifests("pg", manifests(near, far))]);
  await plane.healthy("pg");
  await using origin = await plane.connect("pg");
  const sql = async (text: string) => origin.query<never>(text);
  await makeTables(sql);
  await plane.ok(["backup", "pg", "--backup-name", "first"]);

  await rename(near, `${near}-unmounted`);
  await addRow(sql, 1);
  await sql("SELECT pg_switch_wal()");
  const archiving = async () => {
    const { conditions = [] } = (await plane.get<Reported>("cluster", "pg"))?.status ?? {};
    return conditions.find(({ type }) => type === "ContinuousArchiving");
  };
  await until(async () => {
    const { message = "" } = (await archiving()) ?? {};
    return message.includes("near") ? undefined : message;
  });
  const contents = await readContents(sql);
  await archived(plane, "pg", "default", sql);

  expect(await archiving()).toMatchObject({
    status: "True",
    message: `Continuous archiving is working as the archive policy asks, but not in store "near": directory "${near}" does not exist`,
  });
  const { stdout } = await plane.run(["status", "pg"]);
  expect(stdout).toMatch(/^safe: +no\n/m);
  expect(stdout).toContain(`store "near" is in trouble: directory "${near}" does not exist`);
  // What a store missed is an exit status of its own.
  expect((await plane.run(["backup", "pg", "--backup-name", "second"])).code).toBe(44);
  const { destinations } = (await plane.get<Reported>("backup", "second"))?.status ?? {};
  expect(destinations?.map(({ objectStore, error }) => [objectStore, error === undefined])).toEqual([
    ["near", false],
    ["far", true],
  ]);
  await plane.ok(["restore", "pg", "--to", "latest", "--as", "again", "--yes"]);
  expect(await contentsOf(plane, "again", "default")).toEqual(contents);
});

function manifests(near: string, far: string): string {
  const store = (name: string, path: string): string => `
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: ${name}
spec:
  configuration:
    destinationPath: ${path}
    data:
      immediateCheckpoint: true
---`;
  return `${store("near", near)}${store("far", far)}
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
        barmanObjectName: near
        additionalObjectNames: far
        archivePolicy: any
`;
}
