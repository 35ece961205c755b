import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Secret } from "../../src/common/log.ts";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { sendSignal } from "../../src/postgres/server-process-tree.ts";
import { controlPlane, exampleWith, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { makeTables, readContents } from "../support/rows.ts";
import { until } from "../support/until.ts";

const doomed = `apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: doomed
  namespace: elsewhere
spec:
  storage:
    size: 1Gi
  bootstrap:
    pg_basebackup:
      source: origin
  externalClusters:
    - name: origin
      connectionParameters:
        host: pg-rw.default.svc.cluster.local
`;

test("a copy of a cluster that is written to, killed in the middle, becomes a cluster of its own; its origin keeps nothing of it", async () => {
  await using plane = await controlPlane();
  const stores = await plane.folder.make("stores");
  await plane.up(["-f", await exampleWith(plane, "quickstart", [["/tmp/tidemark-quickstart", stores]])]);
  await plane.healthy("pg");
  await using origin = await plane.connect("pg");
  const onOrigin = async (sql: string) => origin.query<never>(sql);
  await makeTables(onOrigin);
  const writer = startWriter(await plane.connect("pg"));

  await plane.ok(["apply", "-f", await exampleWith(plane, "copy-of-a-cluster", [])]);
  await copying(origin);
  await killInstance(plane, "default/pg-copy/instances/pg-copy-1");
  const atKill = writer.acknowledged;
  await plane.healthy("pg-copy");
  await plane.ok(["apply", "-f", await plane.manifests("doomed", doomed)]);
  await copying(origin);
  await plane.ok(["delete", "cluster", "doomed", "-n", "elsewhere", "--yes"]);
  const written = await writer.stop();
  await using copy = await plane.connect("pg-copy");
  const atEnd = await readContents(onOrigin);
  const copied = await readContents(async (sql) => copy.query(sql));

  expect(copied?.bulk).toBe(atEnd?.bulk);
  expect(copied?.ids.length).toBeGreaterThanOrEqual(atKill);
  expect(copied?.ids.length).toBeLessThan(written);
  expect(copied?.ids).toEqual(atEnd?.ids.slice(0, copied?.ids.length));
  await until(
    async () => {
      const slots = await origin.query("SELECT 1 FROM pg_replication_slots");
      const clusters = await readdir(join(plane.state, "clusters/elsewhere"));
      return slots.length + clusters.length === 0 ? undefined : `${slots.length} slots, ${clusters.join()}`;
    },
    { timeoutMs: 20_000, everyMs: 100 },
  );

  // The password is the copy's own, not the one that came along.
  await using application = await connect({
    url: new Secret(await plane.secretValue("pg-copy-app", "uri")),
  });
  expect(await application.query("SELECT current_user::text AS user")).toEqual([{ user: "app" }]);
  expect(await plane.secretValue("pg-app", "password")).not.toBe(
    await plane.secretValue("pg-copy-app", "password"),
  );

  // Both go on, each in an archive of its own: the one of the copy begins with its timeline.
  for (const connection of [origin, copy]) {
    await connection.query("INSERT INTO t VALUES (-1)");
    await connection.query("SELECT pg_switch_wal()");
  }
  await until(async () => {
    const found = await Promise.all(["pg", "pg-copy"].map(async (name) => timelinesIn(join(stores, name))));
    return JSON.stringify(found) === '[["00000001"],["00000002"]]' ? undefined : JSON.stringify(found);
  });
});

/** Until the cluster is being copied. */
async function copying(origin: SqlConnection): Promise<void> {
  await until(
    async () => {
      const slots = await origin.query("SELECT 1 FROM pg_replication_slots WHERE temporary");
      return slots.length > 0 ? undefined : "nobody copies";
    },
    { timeoutMs: 30_000, everyMs: 5 },
  );
}

async function killInstance(plane: ControlPlaneUnderTest, folder: string): Promise<void> {
  const text = await readFile(join(plane.state, "clusters", folder, "process.json"), "utf8");
  expect(sendSignal((JSON.parse(text) as { readonly pid: number }).pid, "SIGKILL")).toBe(true);
}

/** Commits one row after the other; the connection is its own. */
function startWriter(connection: SqlConnection) {
  const end = new AbortController();
  let acknowledged = 0;
  const run = async (): Promise<void> => {
    while (!end.signal.aborted) {
      await connection.query("INSERT INTO t VALUES ($1)", [acknowledged + 1]);
      acknowledged++;
      await sleep(2);
    }
    await connection.close();
  };
  const running = run();
  return {
    get acknowledged() {
      return acknowledged;
    },
    stop: async () => {
      end.abort();
      await running;
      return acknowledged;
    },
  };
}

/** Of all segments below a folder; none while it is not there. */
async function timelinesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const segments = names.flatMap((name) => /([0-9A-F]{24})(?:\.\w+)?$/.exec(name)?.[1] ?? []);
  return [...new Set(segments.map((name) => name.slice(0, 8)))].toSorted();
}
