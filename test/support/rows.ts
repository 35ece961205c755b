import type { SqlConnection } from "../../src/postgres/connection.ts";

/** What restores are compared by: single rows whose moments are known, beside a table large enough to have pages everywhere. */

type Sql = Pick<SqlConnection, "query">["query"];

/** Where a row came to be. */
export interface Moment {
  readonly id: number;
  readonly xid: string;
  /** Of its commit, by the server, with a zone. */
  readonly time: string;
  /** Behind its commit; a record starts here once anything was written after it. */
  readonly lsn: string;
}

export interface Contents {
  readonly ids: readonly number[];
  /** Of all rows of the large table. */
  readonly bulk: string;
}

export async function makeTables(sql: Sql): Promise<void> {
  await sql("CREATE TABLE t (id int PRIMARY KEY)");
  await sql("CREATE TABLE bulk AS SELECT id, md5(id::text) AS note FROM generate_series(1, 20000) id");
}

/** Adds one row, in a transaction of its own. */
export async function addRow(sql: Sql, id: number): Promise<Moment> {
  const [row] = await sql<{ xid: string }>(
    `INSERT INTO t VALUES (${id}) RETURNING (txid_current() % 4294967296)::text AS xid`,
  );
  const [at] = await sql<{ time: string; lsn: string }>(
    `SELECT to_char(pg_xact_commit_timestamp('${row?.xid}'::xid) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' AS time,
            pg_current_wal_insert_lsn()::text AS lsn`,
  );
  if (row === undefined || at === undefined) throw new Error(`row ${id} was not added`);
  return { id, xid: row.xid, ...at };
}

/** Everything in the tables; undefined when they are not there. */
export async function readContents(sql: Sql): Promise<Contents | undefined> {
  const [exists] = await sql<{ there: boolean }>("SELECT to_regclass('t') IS NOT NULL AS there");
  if (exists?.there !== true) return undefined;
  const rows = await sql<{ id: number }>("SELECT id FROM t ORDER BY id");
  const [bulk] = await sql<{ digest: string }>(
    "SELECT md5(string_agg(bulk::text, ',' ORDER BY id)) AS digest FROM bulk",
  );
  return { ids: rows.map(({ id }) => id), bulk: bulk?.digest ?? "" };
}

/** Writes about this many segments of WAL that hardly compresses, each ended by a switch, with a row `id` in each. */
export async function writeSegments(sql: Sql, count: number, firstId: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    await sql(`INSERT INTO t VALUES (${firstId + at})`);
    await sql(
      "SELECT pg_logical_emit_message(false, 'filler', (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 4000)))",
    );
    await sql("SELECT pg_switch_wal()");
  }
}

/** Ends a segment that holds next to nothing, which wakes PostgreSQL's archiver. */
export async function wakeArchiver(sql: Sql): Promise<void> {
  await sql("SELECT pg_logical_emit_message(false, 'wake', '')");
  await sql("SELECT pg_switch_wal()");
}
