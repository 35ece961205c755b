import { readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect, type SqlConnection } from "../../src/postgres/connection.ts";
import { sendSignal } from "../../src/postgres/server-process-tree.ts";
import { controlPlane, exampleWith, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { until } from "../support/until.ts";

interface ClusterObject {
  readonly status: {
    readonly currentPrimary?: string;
    readonly instanceNames?: readonly string[];
    readonly readyInstances?: number;
    readonly phase?: string;
    readonly tidemark?: {
      readonly primary?: unknown;
      readonly aside?: readonly { readonly path: string; readonly bytes?: number }[];
    };
  };
}

const settings =
  "{ wal_keep_size: '0', min_wal_size: 2MB, max_wal_size: 2MB, wal_retrieve_retry_interval: 200ms }";

test("standbys that cannot follow are made anew, and a primary that is gone for good loses no row that it acknowledged", async () => {
  await using plane = await controlPlane();
  const store = await plane.folder.make("store");
  const example = await exampleWith(plane, "quickstart", [
    ["/tmp/tidemark-quickstart", store],
    [
      "instances: 1",
      `instances: 2\n  failoverDelay: 1\n  bootstrap: { initdb: { walSegmentSize: 1 } }\n  postgresql: { parameters: ${settings} }`,
    ],
    [
      "metadata:\n  name: pg\n",
      'metadata:\n  name: pg\n  annotations: { tidemark.dev/remake-standbys-after: "1" }\n',
    ],
  ]);
  await plane.up(["-f", example]);
  await instancesAre(plane, "pg-1", ["pg-1", "pg-2"]);
  await write(plane, [1]);

  // Somebody promotes the standby: it goes its own way.
  await onInstance(plane, "pg-2", async (connection) => connection.query("SELECT pg_promote()"));
  await instancesAre(plane, "pg-1", ["pg-1", "pg-3"]);

  // Its primary keeps no WAL for it, and the archive has lost it as well.
  await missWal(plane, "pg-3", store);
  await instancesAre(plane, "pg-1", ["pg-1", "pg-4"]);

  // The primary ends for ever with rows that it has not sent.
  const [receiver] = await onInstance(plane, "pg-4", async (connection) =>
    connection.query<{ pid: number }>("SELECT pid FROM pg_stat_wal_receiver"),
  );
  sendSignal(receiver?.pid ?? 0, "SIGSTOP");
  await write(plane, [3, 4, 5]);
  sendSignal(await processOf(plane, "pg-1"), "SIGKILL");
  await breakServer(dataOf(plane, "pg-1"));
  sendSignal(receiver?.pid ?? 0, "SIGCONT");
  await instancesAre(plane, "pg-4", ["pg-4", "pg-5"]);
  await write(plane, [6]);
  // The second timeline is that of the standby that was promoted by hand, and archived it.
  await until(async () => {
    const names = await readdir(join(store, "pg/wals"));
    return names.some((name) => name.startsWith("00000003.history")) ? undefined : names.join();
  });

  expect(await rows(plane)).toEqual([1, 2, 3, 4, 5, 6]);
  const events = await plane.ok(["events"]);
  expect(events).toMatch(/ReplacingStandby .*pg-2 cannot follow pg-1 any more .*kept aside/);
  expect(events).toMatch(
    /ReplacingStandby .*pg-3 cannot follow pg-1 any more .*already been removed.*are removed/,
  );
  expect(events).toMatch(/FailingOver .*pg-4 takes over; .*pg-4 has all that pg-1 wrote/);
  const aside = (await plane.get<ClusterObject>("cluster", "pg"))?.status.tidemark?.aside ?? [];
  expect(aside.map(({ path }) => path.replace(/.*\/(pg-\d).*/, "$1"))).toEqual(["pg-1", "pg-2"]);
  expect(await plane.ok(["status", "pg"])).toContain(aside[0]?.path ?? "nothing");
});

const folderOf = (plane: ControlPlaneUnderTest, name: string): string =>
  join(plane.state, "clusters/default/pg/instances", name);
const dataOf = (plane: ControlPlaneUnderTest, name: string): string => join(folderOf(plane, name), "data");

/** Healthy with just these, all of them ready. */
async function instancesAre(
  plane: ControlPlaneUnderTest,
  primary: string,
  names: readonly string[],
): Promise<void> {
  await until(
    async () => {
      const { status } = (await plane.get<ClusterObject>("cluster", "pg")) ?? {};
      const { currentPrimary, instanceNames = [], readyInstances, phase, tidemark } = status ?? {};
      const isThere =
        currentPrimary === primary &&
        tidemark?.primary !== undefined &&
        instanceNames.join() === names.join() &&
        readyInstances === names.length &&
        phase === "Cluster in healthy state";
      return isThere ? undefined : JSON.stringify(status);
    },
    { timeoutMs: 120_000, everyMs: 500 },
  );
}

async function onInstance<Result>(
  plane: ControlPlaneUnderTest,
  name: string,
  use: (connection: SqlConnection) => Promise<Result>,
): Promise<Result> {
  const { port, socketDirectory } = JSON.parse(
    await readFile(join(folderOf(plane, name), "instance.json"), "utf8"),
  ) as { readonly port: number; readonly socketDirectory: string };
  await using connection = await connect({
    host: socketDirectory,
    port,
    user: "postgres",
    database: "postgres",
  });
  return await use(connection);
}

/** Rows, each in a segment of its own. */
async function write(plane: ControlPlaneUnderTest, ids: readonly number[]): Promise<void> {
  await using connection = await plane.connect("pg");
  await connection.query("CREATE TABLE IF NOT EXISTS t (id int)");
  for (const id of ids) {
    await connection.query(`INSERT INTO t VALUES (${id})`);
    await connection.query("SELECT pg_switch_wal()");
  }
}

async function rows(plane: ControlPlaneUnderTest): Promise<readonly number[]> {
  await using connection = await plane.connect("pg");
  return (await connection.query<{ id: number }>("SELECT id FROM t ORDER BY id")).map(({ id }) => id);
}

/** A standby that is away while its primary and the archive lose what it needs. */
async function missWal(plane: ControlPlaneUnderTest, name: string, store: string): Promise<void> {
  const process = await processOf(plane, name);
  sendSignal(process, "SIGSTOP");
  try {
    sendSignal(await pidIn(join(dataOf(plane, name), "postmaster.pid")), "SIGKILL");
    await loseWal(plane, store);
  } finally {
    sendSignal(process, "SIGCONT");
  }
}

async function loseWal(plane: ControlPlaneUnderTest, store: string): Promise<void> {
  await using connection = await plane.connect("pg");
  await until(async () => {
    const slots = await connection.query<{ active: boolean }>("SELECT active FROM pg_replication_slots");
    return slots.every(({ active }) => !active) ? undefined : JSON.stringify(slots);
  });
  await connection.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
  await write(plane, [2]);
  let last = "";
  for (let segment = 0; segment < 5; segment++) {
    await connection.query("SELECT pg_create_restore_point('more')");
    const [switched] = await connection.query<{ name: string }>(
      "SELECT pg_walfile_name(pg_switch_wal()) AS name",
    );
    last = switched?.name ?? "";
  }
  await until(async () => {
    const [archiver] = await connection.query<{ last: string | null }>(
      "SELECT last_archived_wal AS last FROM pg_stat_archiver",
    );
    return (archiver?.last ?? "") >= last ? undefined : `archived up to ${archiver?.last}`;
  });
  await connection.query("CHECKPOINT");
  await connection.query("CHECKPOINT");
  for (const file of await readdir(join(store, "pg/wals"), { recursive: true })) {
    const isWal = /[0-9A-F]{24}(\.\w+)?$/.test(file);
    if (isWal) await rm(join(store, "pg/wals", file), { force: true });
  }
}

async function processOf(plane: ControlPlaneUnderTest, name: string): Promise<number> {
  const text = await readFile(join(folderOf(plane, name), "process.json"), "utf8");
  return (JSON.parse(text) as { readonly pid: number }).pid;
}

async function pidIn(path: string): Promise<number> {
  return Number((await readFile(path, "utf8")).split("\n")[0]);
}

/** A server that ends at once and can never be started again. */
async function breakServer(dataDirectory: string): Promise<void> {
  const control = join(dataDirectory, "global/pg_control");
  await rename(control, `${control}.lost`);
  sendSignal(await pidIn(join(dataDirectory, "postmaster.pid")), "SIGKILL");
}
