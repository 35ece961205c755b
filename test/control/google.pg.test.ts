/** A Cluster in a bucket of Google's, as a manifest of CloudNativePG says it. The bucket is the stand-in's, in memory. */
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { startGcsStandIn } from "../../src/storage/testing/gcs-stand-in.ts";
import { controlPlane } from "../support/control-plane.ts";
import { addRow, makeTables, readContents } from "../support/rows.ts";
import { until } from "../support/until.ts";

test("a cluster archives into a bucket of Google's, is backed up there, and comes back", async () => {
  await using plane = await controlPlane();
  await using standIn = await startGcsStandIn("backups");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  // A key that signs its tokens itself: no token endpoint is asked.
  const key = {
    type: "service_account",
    client_email: "tide@tests.iam.gserviceaccount.com",
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    universe_domain: "example.com",
  };
  await plane.up(["-f", await plane.manifests("google", manifests(standIn.url, JSON.stringify(key)))]);

  await plane.healthy("pg");
  await using origin = await plane.connect("pg");
  const sql = async (text: string) => origin.query<never>(text);
  await makeTables(sql);
  await plane.ok(["backup", "pg", "--backup-name", "first"]);
  await addRow(sql, 1);
  const contents = await readContents(sql);
  const [at] = await origin.query<{ segment: string }>(
    "SELECT pg_walfile_name(pg_current_wal_lsn()) AS segment",
  );
  await sql("SELECT pg_switch_wal()");
  const names = (): string[] => [...(standIn.buckets.get("backups")?.objects.keys() ?? [])];
  await until(async () =>
    names().some((name) => name.includes(`/${at?.segment}`)) ? undefined : "the segment is not archived",
  );
  await plane.ok(["restore", "pg", "--to", "latest", "--as", "again", "--yes"]);
  await plane.healthy("again");
  await using again = await plane.connect("again");

  expect(await readContents(async (text) => again.query(text))).toEqual(contents);
  expect(names()).toContainEqual(expect.stringMatching(/^path\/pg\/base\/\d+T\d+\/backup\.info$/));
  const askers = new Set(standIn.requests.map(({ headers }) => headers.authorization?.slice(0, 9)));
  expect([...askers]).toEqual(["Bearer ey"]);
});

function manifests(endpoint: string, key: string): string {
  return `
apiVersion: v1
kind: Secret
metadata:
  name: google
stringData:
  key.json: '${key}'
---
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata:
  name: store
spec:
  configuration:
    destinationPath: gs://backups/path/
    endpointURL: ${endpoint}
    googleCredentials:
      applicationCredentials:
        name: google
        key: key.json
    data:
      immediateCheckpoint: true
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
        barmanObjectName: store
`;
}
