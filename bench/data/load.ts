import { mib } from "../../src/common/units.ts";
import { run } from "../measure/program.ts";
import { join } from "node:path";
import type { ServerUser } from "../../src/postgres/server-process.ts";
import type { BenchCluster } from "./cluster.ts";

/** Bytes of pgbench's tables and index per unit of its scale, as PostgreSQL 15 makes them. */
const pgbenchScaleBytes = 15 * mib;
/** Bytes of a row of `hard` below, with page overhead. */
const hardRowBytes = 200;

/** Four md5 digests and three random floats: half the entropy of its bytes, which no fast codec gets below 2:1. */
export const hardRow =
  "md5(random()::text) || md5(random()::text) || md5(random()::text) || md5(random()::text), random(), random(), random()";

/**
 * Fills the cluster with `bytes`, half of them pgbench's tables ("easy": they compress 25:1), half rows that hardly
 * compress ("hard"), because with easy data alone every tool looks fast.
 */
export async function loadData(
  cluster: BenchCluster,
  user: ServerUser | undefined,
  bytes: number,
): Promise<void> {
  const scale = Math.max(1, Math.round(bytes / 2 / pgbenchScaleBytes));
  await pgbench(cluster, user, ["-i", "-I", "dtGvp", "-q", "-s", String(scale)]);
  const rows = Math.round(bytes / 2 / hardRowBytes);
  await cluster.sql.query("CREATE TABLE hard (id bigint, digest text, x float8, y float8, z float8)");
  await using other = await cluster.connect();
  const middle = Math.round(rows / 2);
  const fill = (session: { query(sql: string): Promise<object[]> }, from: number, to: number) =>
    session.query(`INSERT INTO hard SELECT g, ${hardRow} FROM generate_series(${from}, ${to}) AS g`);
  await Promise.all([fill(cluster.sql, 1, middle), fill(other, middle + 1, rows)]);
  await cluster.sql.query("VACUUM ANALYZE");
  await cluster.sql.query("CHECKPOINT");
}

/** `count` tables, each with a primary key and a few rows: more than 3 × `count` files. */
export async function loadTables(cluster: BenchCluster, count: number): Promise<void> {
  const batch = 500;
  for (let from = 1; from <= count; from += batch) {
    const to = Math.min(count, from + batch - 1);
    // A transaction for each batch: the locks of all tables at once would not fit the lock table.
    await cluster.sql.query(`DO $$ BEGIN
      FOR i IN ${from}..${to} LOOP
        EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, body text)', i);
        EXECUTE format('INSERT INTO t%s SELECT g, md5(g::text) FROM generate_series(1, 100) AS g', i);
      END LOOP;
    END $$`);
  }
  await cluster.sql.query("CHECKPOINT");
}

export async function pgbench(
  cluster: BenchCluster,
  user: ServerUser | undefined,
  args: readonly string[],
): Promise<void> {
  const { host, port } = cluster.server.connection;
  await run(
    {
      program: join(cluster.binaries.directory, "pgbench"),
      args: ["-h", host, "-p", String(port), "-U", "postgres", ...args, "postgres"],
      environment: { PGOPTIONS: "-c synchronous_commit=off" },
    },
    { user },
  );
}
