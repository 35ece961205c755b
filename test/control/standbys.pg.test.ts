import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SqlConnection } from "../../src/postgres/connection.ts";
import { sendSignal } from "../../src/postgres/server-process-tree.ts";
import { controlPlane, exampleWith, type ControlPlaneUnderTest } from "../support/control-plane.ts";
import { until } from "../support/until.ts";

interface ClusterObject {
  readonly status: {
    readonly currentPrimary?: string;
    readonly readyInstances?: number;
    readonly phase?: string;
    readonly timelineID?: number;
  };
}

test("a switchover and a failover lose nothing, and one archive leads through all timelines", async () => {
  await using plane = await controlPlane();
  const store = await plane.folder.make("store");
  const example = await exampleWith(plane, "quickstart", [
    ["/tmp/tidemark-quickstart", store],
    ["instances: 1", "instances: 2\n  failoverDelay: 1"],
  ]);
  await plane.up(["-f", example]);
  await primaryIs(plane, "pg-1", 1);
  await write(plane, 1);

  await plane.ok(["promote", "pg", "pg-2"]);
  await primaryIs(plane, "pg-2", 2);
  await write(plane, 2);
  await plane.ok(["backup", "pg", "--backup-name", "on-the-second-timeline"]);
  await write(plane, 3);
  await caughtUp(plane);
  await breakServer(join(plane.state, "clusters/default/pg/instances/pg-2/data"));
  await primaryIs(plane, "pg-1", 3);
  await write(plane, 4);
  const { timelineID } = (await plane.get<ClusterObject>("cluster", "pg"))?.status ?? {};
  const written = await rows(plane, "pg");
  await plane.ok(["restore", "pg", "--to", "latest", "--as", "copy", "--yes"]);

  expect(timelineID).toBe(3);
  expect(written).toEqual([1, 2, 3, 4]);
  expect(await rows(plane, "copy")).toEqual(written);
  expect(await plane.ok(["events"])).toMatch(
    /FailingOver .*pg-1 takes over; the data of pg-2 are kept aside/,
  );
});

/** Healthy with two instances, this one the primary, on this timeline. */
async function primaryIs(plane: ControlPlaneUnderTest, name: string, timeline: number): Promise<void> {
  await until(
    async () => {
      const { status } = (await plane.get<ClusterObject>("cluster", "pg")) ?? {};
      const { currentPrimary, readyInstances, phase, timelineID } = status ?? {};
      const isThere =
        currentPrimary === name &&
        readyInstances === 2 &&
        phase === "Cluster in healthy state" &&
        timelineID === timeline;
      return isThere ? undefined : JSON.stringify(status);
    },
    { timeoutMs: 150_000, everyMs: 500 },
  );
}

async function onPrimary<Result>(
  plane: ControlPlaneUnderTest,
  cluster: string,
  use: (connection: SqlConnection) => Promise<Result>,
): Promise<Result> {
  await using connection = await plane.connect(cluster);
  return await use(connection);
}

/** A row, and the segment with it archived. */
async function write(plane: ControlPlaneUnderTest, id: number): Promise<void> {
  await onPrimary(plane, "pg", async (connection) => {
    await connection.query("CREATE TABLE IF NOT EXISTS t (id int)");
    await connection.query(`INSERT INTO t VALUES (${id})`);
    const [row] = await connection.query<{ name: string }>(
      "SELECT pg_walfile_name(pg_current_wal_lsn()) AS name",
    );
    await connection.query("SELECT pg_switch_wal()");
    await until(
      async () => {
        const [archiver] = await connection.query<{ last: string | null }>(
          "SELECT last_archived_wal AS last FROM pg_stat_archiver",
        );
        return (archiver?.last ?? "") >= (row?.name ?? "") ? undefined : `archived up to ${archiver?.last}`;
      },
      { timeoutMs: 60_000, everyMs: 200 },
    );
  });
}

/** Standbys stream asynchronously: what has not reached them cannot be expected of them. */
async function caughtUp(plane: ControlPlaneUnderTest): Promise<void> {
  await onPrimary(plane, "pg", async (connection) =>
    until(async () => {
      const lags = await connection.query<{ lag: string }>(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::text AS lag FROM pg_stat_replication",
      );
      return lags.length === 1 && lags.every(({ lag }) => Number(lag) <= 0)
        ? undefined
        : JSON.stringify(lags);
    }),
  );
}

/** A server that ends at once and can never be started again. */
async function breakServer(dataDirectory: string): Promise<void> {
  const control = join(dataDirectory, "global/pg_control");
  await rename(control, `${control}.lost`);
  const pid = Number((await readFile(join(dataDirectory, "postmaster.pid"), "utf8")).split("\n")[0]);
  sendSignal(pid, "SIGKILL");
}

async function rows(plane: ControlPlaneUnderTest, cluster: string): Promise<readonly number[]> {
  return onPrimary(plane, cluster, async (connection) => {
    const found = await connection.query<{ id: number }>("SELECT id FROM t ORDER BY id");
    return found.map(({ id }) => id);
  });
}
